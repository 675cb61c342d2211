//! The life of a lane: connecting, registering, reconnecting.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{Lane, State, Suspicion};
use crate::broker::backoff::Backoff;
use crate::broker::connection::Connection;
use crate::error::UpstreamError;

/// How long a lane that is being opened stays open without an answer. A broker registers a client
/// when it processes the heartbeat, even if the connection is closed by then, and keeps such a
/// client for 120 s: the other members of a group then leave queues to it (seen with 5.5.0, where a
/// heartbeat waited 3 s for a thread). Heartbeats wait at a broker for 31 s at most
/// (`BrokerConfig.waitTimeMillsInHeartbeatQueue`).
const JOIN_LIMIT: Duration = Duration::from_secs(35);

/// How long a lane keeps its permit once it is connected, unless the broker answers before: the
/// time that a broker may take to accept a connection that its operating system has established.
const ACCEPT_LIMIT: Duration = Duration::from_millis(250);

/// A lane that lasted at least this long is opened again immediately. One that ends sooner is
/// opened again after growing pauses, because a client may be able to make a broker close it.
const LASTING: Duration = Duration::from_secs(30);

/// Bytes per second that a lane that keeps ending may send again.
const AGAIN_RATE: usize = 1024 * 1024;

/// The longest pause before the lane to a broker that refused the client is tried again, once the
/// client sends a new heartbeat. It is shorter than a client waits for the answer.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

impl Lane {
    pub(super) async fn run(self: Rc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            self.sent.borrow_mut().restart();
            let (established, joined) = match self.has_frames_to_send() {
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
                    // A broker that refused the client is tried again when the client sends a new
                    // heartbeat.
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

    /// Connects, sends the registration, and runs until the connection ends. Returns whether it was
    /// established, and whether the broker accepted the client. `None` when the client has
    /// disconnected before there was a permit.
    async fn connect(self: &Rc<Self>) -> Option<(bool, bool)> {
        let gate = self.context.gates.at(&self.address);
        // A lane whose client has disconnected does not wait for a permit: clients may reconnect
        // faster than permits are returned.
        let turn = tokio::select! {
            biased;
            () = self.closed() => return None,
            turn = async {
                // Thousands of clients may connect at the same time, and connecting takes long
                // compared to a request.
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
            // Other clients must not wait for the broker's answer to this heartbeat.
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
                self.suspect(&connection, Suspicion::Spread);
            }
        };
        let sample = self.context.sample(&self.peer());
        let sampled = async {
            connection.established().await;
            loop {
                sample.notified().await;
                // One that is being registered has a time limit of its own.
                if self.registered().is_some() {
                    self.suspect(&connection, Suspicion::Sample);
                }
            }
        };
        let ended = tokio::select! {
            ended = async {
                // Boxed: its memory is free again once the lane is registered.
                tokio::join!(connection.run(&self.address), Box::pin(join))
            } => ended,
            never = alarmed => never,
            never = sampled => never,
        };
        self.connection.take();
        Some(ended)
    }

    /// Whether there are frames that the broker has not refused.
    fn has_frames_to_send(&self) -> bool {
        let sent = self.sent.borrow();
        sent.refusal().is_none() || sent.has_unsent(&self.registration)
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

    /// Sends the registration on a new connection, and its changes meanwhile, because tasks that
    /// wait for the lane wait for the current registration. Returns false when the broker accepts
    /// none of it.
    async fn join(&self, connection: &Connection) -> bool {
        let deadline = Instant::now() + JOIN_LIMIT;
        loop {
            let frames = self.sent.borrow_mut().take_unsent(&self.registration);
            if frames.is_empty() {
                break;
            }
            for frame in frames {
                let asked = Instant::now();
                let bytes = frame.bytes.clone();
                match self.send_first(connection, bytes, deadline).await {
                    Ok(answer) => self.judge(&frame, asked, &answer),
                    Err(error) => {
                        self.fail(error);
                        connection.close();
                        return false;
                    }
                }
            }
        }
        let known = self.sent.borrow().is_known();
        if known {
            self.enter(State::Registered);
        } else {
            self.enter(State::Refused);
            connection.close();
        }
        known
    }

    /// Sends one frame on a new connection. When the answer takes long, the lane's state becomes
    /// failed, but the connection is not closed before the deadline.
    async fn send_first(
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
