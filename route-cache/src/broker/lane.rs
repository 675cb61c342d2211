//! The connection that belongs to one client and one broker.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::{CommandView, ResponseCode};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::connection::{Connection, PushTarget};
use super::context::Context;
use super::link::label;
use crate::error::UpstreamError;

/// How long a lane that is being made stays open without an answer. A broker lists a client when it gets round to the
/// heartbeat, whether or not the connection is still there, and keeps one that is not for 120 s: the members of a group
/// then leave that one's queues to it (seen with 5.5.0, where a heartbeat waited 3 s for a thread). Heartbeats wait there for
/// 31 s at most (`BrokerConfig.waitTimeMillsInHeartbeatQueue`). Until then the lane keeps its turn at the gate.
const JOIN_LIMIT: Duration = Duration::from_secs(35);

/// What a client has said of itself, in the frames in which it said it: its heartbeat, and what it
/// has unregistered since. All of its lanes share it, and each begins by saying it again.
#[derive(Debug, Default)]
pub struct Registration {
    frames: RefCell<Vec<Bytes>>,
    /// Grows whenever the frames change.
    version: Cell<u64>,
}

impl Registration {
    /// From now on, these are to be said, in this order.
    pub fn replace(&self, frames: Vec<Bytes>) {
        *self.frames.borrow_mut() = frames;
        self.version.set(self.version.get() + 1);
    }

    fn frames(&self) -> Vec<Bytes> {
        self.frames.borrow().clone()
    }
}

/// An upstream connection for what a broker ties to a connection: who a client is and which groups
/// it has, what the broker tells it, and the pulls of broadcast consumers. To the broker it looks like
/// the client's own connection, and it ends with it.
///
/// While its client is there, a lane that ends is made again: connect, say the registration, and
/// only then count as registered.
pub struct Lane {
    broker: Rc<str>,
    address: Arc<str>,
    context: Rc<Context>,
    registration: Rc<Registration>,
    push_target: Weak<dyn PushTarget>,
    connection: RefCell<Option<Rc<Connection>>>,
    state: RefCell<State>,
    /// The state has changed.
    changed: Notify,
    closed: Cell<bool>,
    /// Its connection was closed to be made anew: nothing is wrong with the broker.
    renewed: Cell<bool>,
}

#[derive(Debug, Clone)]
enum State {
    /// Connecting, or saying the registration.
    Joining,
    /// The broker knows the client; its answer to the latest heartbeat.
    Registered(Bytes),
    /// The latest attempt has failed, and another follows; or it takes long, and may still come about.
    Failed(UpstreamError),
    /// The broker refuses the client; its answer.
    Refused(Bytes),
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("broker", &self.broker)
            .field("address", &self.address)
            .field("state", &self.state.borrow())
            .finish_non_exhaustive()
    }
}

impl Lane {
    /// Opens a lane to that address of that broker, for the client who is `push_target`.
    pub(crate) fn open(
        broker: Rc<str>,
        address: Arc<str>,
        context: Rc<Context>,
        registration: Rc<Registration>,
        push_target: Weak<dyn PushTarget>,
    ) -> Rc<Self> {
        let lane = Rc::new(Self {
            broker,
            address,
            context,
            registration,
            push_target,
            connection: RefCell::default(),
            state: RefCell::new(State::Joining),
            changed: Notify::new(),
            closed: Cell::new(false),
            renewed: Cell::new(false),
        });
        tokio::task::spawn_local(lane.clone().run());
        lane
    }

    /// The broker's name.
    #[must_use]
    pub fn broker(&self) -> &Rc<str> {
        &self.broker
    }

    /// The address that the lane leads to.
    #[must_use]
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// The connection, if the broker knows the client on it.
    #[must_use]
    pub fn registered(&self) -> Option<Rc<Connection>> {
        match &*self.state.borrow() {
            State::Registered(_) => self.connection.borrow().clone(),
            _ => None,
        }
    }

    /// Whether it is being made.
    #[must_use]
    pub fn is_joining(&self) -> bool {
        matches!(*self.state.borrow(), State::Joining)
    }

    /// Waits until the broker knows the client or that has failed, for `time` at the most.
    pub async fn settled(&self, time: Duration) {
        let settled = async {
            loop {
                let changed = self.changed.notified();
                if !self.is_joining() {
                    return;
                }
                changed.await;
            }
        };
        let _ = tokio::time::timeout(time, settled).await;
    }

    /// Waits until the broker knows the client, for `time` at the most; not for one that it has refused.
    pub async fn wait_registered(&self, time: Duration) -> Option<Rc<Connection>> {
        let registered = async {
            loop {
                let changed = self.changed.notified();
                if let Some(connection) = self.registered() {
                    return Some(connection);
                }
                if matches!(*self.state.borrow(), State::Refused(_)) {
                    return None;
                }
                changed.await;
            }
        };
        tokio::time::timeout(time, registered).await.ok()?
    }

    /// Says the client's latest heartbeat and waits for the answer, a whole frame; on a lane that is
    /// being made, for the answer to the one that is said first there.
    ///
    /// # Errors
    /// When the broker cannot be reached now, or does not answer within `time`.
    pub async fn heartbeat(&self, time: Duration) -> Result<Bytes, UpstreamError> {
        let Some(connection) = self.registered() else {
            if matches!(*self.state.borrow(), State::Refused(_)) {
                self.enter(State::Joining);
            }
            let settled = async {
                loop {
                    let changed = self.changed.notified();
                    match self.state.borrow().clone() {
                        State::Joining => {}
                        State::Registered(answer) | State::Refused(answer) => return Ok(answer),
                        State::Failed(error) => return Err(error),
                    }
                    changed.await;
                }
            };
            let late = || UpstreamError::Timeout(label(&self.broker));
            return tokio::time::timeout(time, settled)
                .await
                .unwrap_or_else(|_| Err(late()));
        };
        let mut answer = Bytes::new();
        for frame in self.registration.frames() {
            answer = connection.call(frame, time).await?;
        }
        Ok(answer)
    }

    /// Makes the lane anew: closes first, then connects and says the registration as it is now. For a
    /// client that was registered under another id before it said its own.
    pub fn renew(&self) {
        if let Some(connection) = self.connection.borrow().clone() {
            self.renewed.set(true);
            self.enter(State::Joining);
            connection.close();
        }
    }

    /// Ends the lane: at once, for that is how a broker learns that the client has gone.
    pub fn close(&self) {
        self.closed.set(true);
        if let Some(connection) = self.connection.take() {
            connection.close();
        }
        self.changed.notify_waiters();
    }

    async fn run(self: Rc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            let gate = self.context.gates.at(&self.address);
            // A lane whose client has gone does not wait for its turn: clients may come and go faster than turns.
            let turn = tokio::select! {
                biased;
                () = self.closed() => return,
                turn = gate.acquire() => turn,
            };
            let target = Some(self.push_target.clone());
            let connection =
                Connection::new(label(&self.broker), self.context.clone(), target, None);
            *self.connection.borrow_mut() = Some(connection.clone());
            let join = async {
                let joined = self.join(&connection).await;
                drop(turn);
                joined
            };
            let (established, joined) = tokio::join!(connection.run(&self.address), join);
            self.connection.take();
            if self.closed.get() {
                return;
            }
            if self.renewed.take() {
                backoff.reset();
                self.enter(State::Joining);
                continue;
            }
            if established && joined {
                backoff.reset();
                self.enter(State::Joining);
            } else if matches!(*self.state.borrow(), State::Joining) {
                self.enter(State::Failed(UpstreamError::Closed(label(&self.broker))));
            }
            let refused = matches!(*self.state.borrow(), State::Refused(_));
            tokio::select! {
                // A broker that refused the client is asked again when the client speaks again.
                () = tokio::time::sleep(backoff.next()), if !refused => {}
                () = self.asked_again(), if refused => {}
                () = self.closed() => return,
            }
            self.enter(State::Joining);
        }
    }

    async fn asked_again(&self) {
        while matches!(*self.state.borrow(), State::Refused(_)) {
            self.changed.notified().await;
        }
    }

    async fn closed(&self) {
        while !self.closed.get() {
            self.changed.notified().await;
        }
    }

    /// Says the registration on a new connection, and again if it has changed meanwhile: whoever waits
    /// for the lane waits for what the client says now. False when the broker does not take it.
    async fn join(&self, connection: &Connection) -> bool {
        let deadline = Instant::now() + JOIN_LIMIT;
        let mut answer = Bytes::new();
        let mut said = None;
        while said != Some(self.registration.version.get()) {
            said = Some(self.registration.version.get());
            for frame in self.registration.frames() {
                match self.say(connection, frame, deadline).await {
                    Ok(answered) => answer = answered,
                    Err(error) => {
                        self.fail(error);
                        connection.close();
                        return false;
                    }
                }
            }
        }
        let success =
            CommandView::decode(&answer).is_ok_and(|view| view.code() == ResponseCode::SUCCESS.0);
        if success {
            self.enter(State::Registered(answer));
        } else {
            self.enter(State::Refused(answer));
            connection.close();
        }
        success
    }

    /// Says one frame on a new connection. When that takes long, whoever asks is told that the lane has failed, but it does
    /// not end before the deadline.
    async fn say(
        &self,
        connection: &Connection,
        frame: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, UpstreamError> {
        let time = deadline.saturating_duration_since(Instant::now());
        let mut call = pin!(connection.call(frame, time));
        let soon = self.context.config.connect_timeout * 3;
        match tokio::time::timeout(soon, call.as_mut()).await {
            Ok(answered) => answered,
            Err(_) => {
                self.fail(UpstreamError::Timeout(label(&self.broker)));
                call.await
            }
        }
    }

    fn fail(&self, error: UpstreamError) {
        if !self.renewed.get() {
            self.enter(State::Failed(error));
        }
    }

    fn enter(&self, state: State) {
        *self.state.borrow_mut() = state;
        self.changed.notify_waiters();
    }
}
