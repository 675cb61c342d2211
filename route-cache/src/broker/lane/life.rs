//! How a lane comes about, and comes about again.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{Lane, State};
use crate::broker::backoff::Backoff;
use crate::broker::connection::Connection;
use crate::error::UpstreamError;

/// How long a lane that is being made stays open without an answer. A broker lists a client when it gets round to the
/// heartbeat, whether or not the connection is still there, and keeps one that is not for 120 s: the members of a group
/// then leave that one's queues to it (seen with 5.5.0, where a heartbeat waited 3 s for a thread). Heartbeats wait there for
/// 31 s at most (`BrokerConfig.waitTimeMillsInHeartbeatQueue`).
const JOIN_LIMIT: Duration = Duration::from_secs(35);

/// How long a lane keeps its turn at the gate once it is connected, unless the broker answers before: so long a broker may
/// take to accept a connection that its operating system has made.
const ACCEPT_LIMIT: Duration = Duration::from_millis(250);

/// A lane that lasts as long is made again at once; one that keeps ending is made again after longer and longer pauses, for a
/// client may be able to have a broker end it.
const LASTING: Duration = Duration::from_secs(30);

/// So many bytes a second a lane that keeps ending may say again.
const AGAIN_RATE: usize = 1024 * 1024;

/// The longest pause before a broker that refused the client is asked again, when the client speaks again. Below what
/// a client waits for the answer.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

impl Lane {
    pub(super) async fn run(self: Rc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            self.heard.borrow_mut().begin_again();
            let (established, joined) = match self.has_something_to_say() {
                true => match self.connect().await {
                    Some(ended) => ended,
                    None => return,
                },
                false => {
                    self.enter(State::Refused);
                    (false, false)
                }
            };
            if self.closed.get() {
                return;
            }
            if self.renewed.take() {
                self.enter(State::Joining);
                continue;
            }
            let lasted = joined && begun.elapsed() >= LASTING;
            if lasted {
                backoff.reset();
            }
            if established && joined {
                self.enter(State::Joining);
            } else if matches!(*self.state.borrow(), State::Joining) {
                self.enter(State::Failed(UpstreamError::Closed(self.peer())));
            }
            let mut pause = backoff.next();
            if established && !lasted {
                let bytes = self.registration.bytes();
                pause = pause.max(Duration::from_millis((bytes * 1000 / AGAIN_RATE) as u64));
            }
            let refused = matches!(*self.state.borrow(), State::Refused);
            let wait = async {
                if refused {
                    // A broker that refused the client is asked again when the client speaks again.
                    tokio::join!(
                        tokio::time::sleep(pause.min(REFUSED_PAUSE)),
                        self.asked_again()
                    );
                } else {
                    tokio::time::sleep(pause).await;
                }
            };
            tokio::select! {
                () = wait => {}
                () = self.closed() => return,
            }
            self.enter(State::Joining);
        }
    }

    /// Connects, says the registration, and stays until the connection ends: whether it was established, and whether the
    /// broker took the client. `None` when the client has gone before its turn came.
    async fn connect(self: &Rc<Self>) -> Option<(bool, bool)> {
        let gate = self.context.gates.at(&self.address);
        // A lane whose client has gone does not wait for its turn: clients may come and go faster than turns.
        let turn = tokio::select! {
            biased;
            () = self.closed() => return None,
            turn = async {
                // Thousands of clients may come at once, and to connect takes long beside a request.
                self.context.buffers.turn().await;
                gate.acquire().await
            } => turn,
        };
        let target = Some(self.push_target.clone());
        let connection = Connection::new(self.peer(), self.context.clone(), target, None);
        *self.connection.borrow_mut() = Some(connection.clone());
        self.suspect.set(false);
        let join = async {
            let mut join = pin!(self.join(&connection));
            let accepted = async {
                connection.established().await;
                tokio::time::sleep(ACCEPT_LIMIT).await;
            };
            // Whether and when a broker answers a heartbeat is not for other clients to wait for.
            tokio::select! {
                joined = join.as_mut() => return joined,
                () = accepted => drop(turn),
            }
            join.await
        };
        let alarm = self.context.alarm(&self.peer());
        let alarmed = async {
            loop {
                alarm.notified().await;
                self.suspect(&connection);
            }
        };
        let ended = tokio::select! {
            ended = async { tokio::join!(connection.run(&self.address), join) } => ended,
            never = alarmed => never,
        };
        self.connection.take();
        Some(ended)
    }

    /// Whether there is anything that the broker has not refused.
    fn has_something_to_say(&self) -> bool {
        let heard = self.heard.borrow();
        heard.refusal().is_none() || heard.has_unsaid(&self.registration)
    }

    async fn asked_again(&self) {
        while matches!(*self.state.borrow(), State::Refused) {
            self.changed.notified().await;
        }
    }

    async fn closed(&self) {
        while !self.closed.get() {
            self.changed.notified().await;
        }
    }

    /// Says the registration on a new connection, and what has changed in it meanwhile: whoever waits for the lane waits for
    /// what the client says now. False when the broker takes nothing of it.
    async fn join(&self, connection: &Connection) -> bool {
        let deadline = Instant::now() + JOIN_LIMIT;
        loop {
            let frames = self.heard.borrow_mut().take_unsaid(&self.registration);
            if frames.is_empty() {
                break;
            }
            for frame in frames {
                let asked = Instant::now();
                let bytes = frame.bytes.clone();
                match self.say_first(connection, bytes, deadline).await {
                    Ok(answer) => self.judge(&frame, asked, &answer),
                    Err(error) => {
                        self.fail(error);
                        connection.close();
                        return false;
                    }
                }
            }
        }
        let known = self.heard.borrow().is_known();
        if known {
            self.enter(State::Registered);
        } else {
            self.enter(State::Refused);
            connection.close();
        }
        known
    }

    /// Says one frame on a new connection. When that takes long, whoever asks is told that the lane has failed, but it does
    /// not end before the deadline.
    async fn say_first(
        &self,
        connection: &Connection,
        frame: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, UpstreamError> {
        let time = deadline.saturating_duration_since(Instant::now());
        let mut call = pin!(connection.call(frame, time));
        let soon = self.context.config.connect_timeout * 3;
        match timeout(soon, call.as_mut()).await {
            Ok(answered) => answered,
            Err(_) => {
                self.fail(UpstreamError::Timeout(self.peer()));
                call.await
            }
        }
    }
}
