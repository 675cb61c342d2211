//! The connection that belongs to one client and one broker.
//!
//! A lane has no keep-alive of its own: its client sends heartbeats every 30 s, and each is sent to
//! the broker as a request. A lane that has fallen silent alone is noticed by a heartbeat without
//! an answer. Lanes mostly fall silent together: every 2.5 s, one lane to each broker is probed,
//! and if it is silent, all others are.

mod life;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::connection::{Connection, PushTarget};
use super::context::Context;
use super::probe::probe;
use super::registration::{Frame, Registration, Sent, Verdict};
use crate::error::UpstreamError;
use crate::peer::Peer;

/// How long a broker that has left a heartbeat unanswered may take for the answer to a probe.
/// Heartbeats may wait for one another at the broker; probes do not wait with them.
const PROBE_LIMIT: Duration = Duration::from_millis(2500);

/// An upstream connection for the state that a broker keeps by connection: the client's id and
/// groups, pushes to the client, and the pulls of broadcast consumers. To the broker it looks like
/// the client's own connection, and it ends with that.
///
/// While its client is connected, a lane that ends is opened again: it connects, sends the
/// registration, and only then counts as registered.
pub struct Lane {
    broker: Rc<str>,
    address: Arc<str>,
    context: Rc<Context>,
    registration: Rc<Registration>,
    push_target: Weak<dyn PushTarget>,
    connection: RefCell<Option<Rc<Connection>>>,
    state: RefCell<State>,
    /// Wakes the tasks that wait for another state or verdict.
    changed: Notify,
    closed: Cell<bool>,
    /// Whether its connection was closed on purpose, to be opened again: that is no failure of the
    /// broker.
    renewed: Cell<bool>,
    /// The frames that were sent over the connection, and the broker's answers.
    sent: RefCell<Sent>,
    /// Held while frames are sent: a broker serves simultaneous requests in any order.
    sending: tokio::sync::Mutex<()>,
    /// Whether the connection is being probed, after a heartbeat without an answer.
    suspect: Cell<bool>,
}

/// How long a broker that answers no request at all keeps its lanes: as long as a broker keeps
/// clients that send nothing.
const STANDSTILL_MAX: Duration = Duration::from_secs(120);

/// An answer that is late and may still arrive.
type LateAnswer = Pin<Box<dyn Future<Output = Result<Bytes, UpstreamError>>>>;

/// Why a lane may be silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Suspicion {
    /// A heartbeat had no answer.
    Heartbeat,
    /// It was its turn to be looked at.
    Sample,
    /// Another connection to the broker is silent.
    Spread,
}

#[derive(Debug, Clone)]
enum State {
    /// Connecting, or sending the registration.
    Joining,
    /// The broker has registered the client.
    Registered,
    /// The latest attempt has failed, and another follows; or it takes long, and may still succeed.
    Failed(UpstreamError),
    /// The broker refuses the client, with each of its ids.
    Refused,
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
    /// Opens a lane to that address of that broker, for the client behind `push_target`.
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
            sent: RefCell::default(),
            sending: tokio::sync::Mutex::default(),
            suspect: Cell::new(false),
        });
        tokio::task::spawn_local(lane.clone().run());
        lane
    }

    /// The broker's name.
    #[must_use]
    pub fn broker(&self) -> &Rc<str> {
        &self.broker
    }

    fn peer(&self) -> Peer {
        Peer::Broker(self.broker.clone())
    }

    /// The broker's address.
    #[must_use]
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// The connection, if the broker has registered the client on it.
    #[must_use]
    pub fn registered(&self) -> Option<Rc<Connection>> {
        match &*self.state.borrow() {
            State::Registered => self.connection.borrow().clone(),
            _ => None,
        }
    }

    /// Whether the broker has accepted the latest heartbeat of that key.
    #[must_use]
    pub fn has_taken(&self, key: usize) -> bool {
        self.verdict(key, None)
            .is_ok_and(|verdict| verdict.is_success())
    }

    /// Whether it is being opened.
    #[must_use]
    pub fn is_joining(&self) -> bool {
        matches!(*self.state.borrow(), State::Joining)
    }

    /// Waits until the broker has registered the client or the attempt has failed, for `time` at
    /// most.
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
        let _ = timeout(time, settled).await;
    }

    /// Waits until the broker has registered the client, for `time` at most; `None` immediately if
    /// it has refused the client.
    pub async fn wait_registered(&self, time: Duration) -> Option<Rc<Connection>> {
        let registered = async {
            loop {
                let changed = self.changed.notified();
                if let Some(connection) = self.registered() {
                    return Some(connection);
                }
                if matches!(*self.state.borrow(), State::Refused) {
                    return None;
                }
                changed.await;
            }
        };
        timeout(time, registered).await.ok()?
    }

    /// Sends the heartbeat of that key and all other new frames of the registration, and waits for
    /// the broker's answer. On a lane that is being opened, it waits for the answer to the
    /// heartbeat that is sent first.
    ///
    /// If there is no answer, the connection is probed; if nothing at all arrives, it is replaced.
    ///
    /// # Errors
    /// When the broker cannot be reached now, or does not answer within `time`.
    pub async fn heartbeat(
        self: &Rc<Self>,
        key: usize,
        time: Duration,
    ) -> Result<Verdict, UpstreamError> {
        let begun = Instant::now();
        let deadline = begun + time;
        let late = |_| UpstreamError::Timeout(self.peer());
        if matches!(*self.state.borrow(), State::Refused) {
            self.sent.borrow_mut().forget(key);
            self.enter(State::Joining);
        }
        // The first heartbeat on a new connection may have been sent before this call.
        let mut since = Some(begun);
        loop {
            let changed = self.changed.notified();
            match &*self.state.borrow() {
                State::Joining => since = None,
                State::Registered => break,
                State::Refused => return self.verdict(key, None),
                State::Failed(error) => return Err(error.clone()),
            }
            timeout_at(deadline, changed).await.map_err(late)?;
        }
        let _turn = timeout_at(deadline, self.sending.lock())
            .await
            .map_err(late)?;
        if let Ok(verdict) = self.verdict(key, since) {
            return Ok(verdict);
        }
        let closed = || UpstreamError::Closed(self.peer());
        let connection = self.registered().ok_or_else(closed)?;
        let heartbeat = self.registration.heartbeat(key).ok_or_else(closed)?;
        let mut frames = self.sent.borrow_mut().take_unsent(&self.registration);
        if !frames.iter().any(|new| new.version == heartbeat.version) {
            frames.push(heartbeat);
        }
        self.send_all(&connection, frames, deadline).await?;
        self.verdict(key, Some(begun))
    }

    /// Sends the new frames of the registration, if the broker has registered the client; otherwise
    /// the lane sends them when it is opened.
    ///
    /// # Errors
    /// When the broker does not answer within `time`.
    pub async fn update(self: &Rc<Self>, time: Duration) -> Result<(), UpstreamError> {
        let deadline = Instant::now() + time;
        if self.registered().is_none() {
            return Ok(());
        }
        let _turn = timeout_at(deadline, self.sending.lock())
            .await
            .map_err(|_| UpstreamError::Timeout(self.peer()))?;
        let Some(connection) = self.registered() else {
            return Ok(());
        };
        let frames = self.sent.borrow_mut().take_unsent(&self.registration);
        self.send_all(&connection, frames, deadline).await
    }

    /// The broker's answer to the latest heartbeat of that key, if that was sent at that moment or
    /// later. A broker that refuses all ids refuses this one too.
    fn verdict(&self, key: usize, since: Option<Instant>) -> Result<Verdict, UpstreamError> {
        let sent = self.sent.borrow();
        let heartbeat = self.registration.heartbeat(key);
        let verdict = heartbeat.and_then(|heartbeat| sent.verdict(&heartbeat, since));
        let refused = || {
            let refused = matches!(*self.state.borrow(), State::Refused);
            sent.refusal().filter(|_| refused)
        };
        let verdict = verdict.or_else(refused).cloned();
        verdict.ok_or_else(|| UpstreamError::Closed(self.peer()))
    }

    async fn send_all(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        frames: Vec<Frame>,
        deadline: Instant,
    ) -> Result<(), UpstreamError> {
        for frame in frames {
            let asked = Instant::now();
            match self
                .send_frame(connection, frame.bytes.clone(), deadline)
                .await
            {
                Ok(answer) => self.judge(&frame, asked, &answer),
                Err(error) => {
                    // A frame without an answer is sent again when the next heartbeat is due, or
                    // when the lane is opened again.
                    if !matches!(error, UpstreamError::Timeout(_)) {
                        self.sent.borrow_mut().take_back(&frame);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Sends one frame to a broker that has registered the client. Without an answer in time, the
    /// connection is probed.
    async fn send_frame(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        frame: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, UpstreamError> {
        let time = deadline.saturating_duration_since(Instant::now()) + PROBE_LIMIT;
        let asked = connection.clone();
        let mut answer: LateAnswer = Box::pin(async move { asked.call(frame, time).await });
        match timeout_at(deadline, answer.as_mut()).await {
            Ok(answered) => answered,
            Err(_) => {
                if !self.suspect.replace(true) {
                    let why = Suspicion::Heartbeat;
                    let judged = self.clone().judge_silence(connection.clone(), answer, why);
                    tokio::task::spawn_local(judged);
                }
                Err(UpstreamError::Timeout(self.peer()))
            }
        }
    }

    /// Probes the connection, because another to the broker has fallen silent, or because it is its
    /// turn: the next heartbeat may be half a minute away.
    fn suspect(self: &Rc<Self>, connection: &Rc<Connection>, why: Suspicion) {
        if connection.is_established() && !self.suspect.replace(true) {
            let nothing: LateAnswer = Box::pin(std::future::pending());
            let judged = self.clone().judge_silence(connection.clone(), nothing, why);
            tokio::task::spawn_local(judged);
        }
    }

    /// Closes a connection over which nothing arrives any more, not even a late answer or the
    /// answer to the probe. The lane is then opened again.
    async fn judge_silence(
        self: Rc<Self>,
        connection: Rc<Connection>,
        late: LateAnswer,
        why: Suspicion,
    ) {
        let probe = connection.call(probe(&self.context.config), PROBE_LIMIT);
        let is_silent = tokio::select! {
            Ok(_) = late => false,
            // A probe that could not be sent proves nothing.
            answer = probe => matches!(answer, Err(UpstreamError::Timeout(_))),
        };
        // Samples are frequent. A broker that pauses must not lose its lanes by them, so it has to
        // answer over a new connection meanwhile.
        let is_silent = is_silent
            && (why != Suspicion::Sample || self.is_answered_elsewhere().await)
            && self.stays_silent(&connection).await;
        self.suspect.set(false);
        if is_silent {
            debug!(broker = %self.broker, address = %self.address, "lane silent: reconnecting");
            connection.close();
            if why != Suspicion::Spread {
                self.context.alarm(&self.peer()).notify_waiters();
            }
        }
    }

    /// Whether the broker answers over a new connection.
    async fn is_answered_elsewhere(&self) -> bool {
        let connection = Connection::new(self.peer(), self.context.clone(), None, None);
        let asked = async {
            let answer = connection
                .call(probe(&self.context.config), PROBE_LIMIT)
                .await;
            connection.close();
            answer.is_ok()
        };
        let (_, is_answered) = tokio::join!(connection.run(&self.address), asked);
        is_answered
    }

    /// Whether a connection stays silent once the broker answers over others. A broker that hangs
    /// for a while keeps its clients, as it keeps those that are connected directly.
    async fn stays_silent(&self, connection: &Connection) -> bool {
        const PAUSE: Duration = Duration::from_millis(250);
        let begun = Instant::now();
        let metrics = self.context.metrics(&self.broker);
        while metrics.failing.get() > 0 && begun.elapsed() < STANDSTILL_MAX {
            tokio::time::sleep(PAUSE).await;
        }
        if begun.elapsed() > PAUSE {
            // Bytes that arrived meanwhile are read by then.
            tokio::time::sleep(PAUSE).await;
        }
        connection.is_waiting()
    }

    fn judge(&self, frame: &Frame, asked: Instant, answer: &[u8]) {
        if let (true, Ok(verdict)) = (frame.is_heartbeat, Verdict::read(answer)) {
            self.sent.borrow_mut().judge(frame, asked, verdict);
        }
    }

    /// Opens the lane again: closes the connection, then connects and sends the current
    /// registration. For a client that was registered under another id before it sent its own.
    pub fn renew(&self) {
        if let Some(connection) = self.connection.borrow().clone() {
            self.renewed.set(true);
            self.enter(State::Joining);
            connection.close();
        }
    }

    /// Closes the lane immediately: by that the broker learns that the client has disconnected.
    pub fn close(&self) {
        self.closed.set(true);
        if let Some(connection) = self.connection.take() {
            connection.close();
        }
        self.changed.notify_waiters();
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
