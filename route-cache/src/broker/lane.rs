//! The connection that belongs to one client and one broker.
//!
//! A lane has no keep-alive of its own: it is there because its client sends heartbeats, every 30 s, and each is asked of
//! the broker, so that a lane that has fallen silent is noticed by what it does not answer.

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
use super::registration::{Frame, Heard, Registration, Verdict};
use crate::error::UpstreamError;
use crate::peer::Peer;

/// How long a broker that has left a heartbeat unanswered may take for anything at all. A heartbeat may wait there for
/// others; what it is asked then does not wait with them.
const PROBE_LIMIT: Duration = Duration::from_millis(2500);

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
    /// What was said over the connection, and what the broker thinks of it.
    heard: RefCell<Heard>,
    /// Held while something is said: a broker serves what comes at the same time in any order.
    speaking: tokio::sync::Mutex<()>,
    /// The connection has left a heartbeat unanswered, and is being probed.
    suspect: Cell<bool>,
}

/// How long a broker that answers nobody may keep its lanes: as long as it keeps clients that say nothing.
const STANDSTILL_MAX: Duration = Duration::from_secs(120);

/// An answer that has not come in time and may still come.
type LateAnswer = Pin<Box<dyn Future<Output = Result<Bytes, UpstreamError>>>>;

#[derive(Debug, Clone)]
enum State {
    /// Connecting, or saying the registration.
    Joining,
    /// The broker knows the client.
    Registered,
    /// The latest attempt has failed, and another follows; or it takes long, and may still come about.
    Failed(UpstreamError),
    /// The broker refuses the client, under each of its ids.
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
            heard: RefCell::default(),
            speaking: tokio::sync::Mutex::default(),
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

    /// The address that the lane leads to.
    #[must_use]
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// The connection, if the broker knows the client on it.
    #[must_use]
    pub fn registered(&self) -> Option<Rc<Connection>> {
        match &*self.state.borrow() {
            State::Registered => self.connection.borrow().clone(),
            _ => None,
        }
    }

    /// Whether the broker has taken the latest heartbeat of that key.
    #[must_use]
    pub fn has_taken(&self, key: usize) -> bool {
        self.verdict(key, None)
            .is_ok_and(|verdict| verdict.is_success())
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
        let _ = timeout(time, settled).await;
    }

    /// Waits until the broker knows the client, for `time` at the most; not for one that it has refused.
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

    /// Says the heartbeat of that key of the registration, and whatever else is new in it, and waits for the broker's word;
    /// on a lane that is being made, for the word on the one that is said first there.
    ///
    /// One that is not answered leads to a probe of the connection, and if nothing at all is heard, to a new one.
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
            self.heard.borrow_mut().forget(key);
            self.enter(State::Joining);
        }
        // What is said first on a new connection may have been said before this.
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
        let _turn = timeout_at(deadline, self.speaking.lock())
            .await
            .map_err(late)?;
        if let Ok(verdict) = self.verdict(key, since) {
            return Ok(verdict);
        }
        let closed = || UpstreamError::Closed(self.peer());
        let connection = self.registered().ok_or_else(closed)?;
        let heartbeat = self.registration.heartbeat(key).ok_or_else(closed)?;
        let mut frames = self.heard.borrow_mut().take_unsaid(&self.registration);
        if !frames.iter().any(|new| new.version == heartbeat.version) {
            frames.push(heartbeat);
        }
        self.say_all(&connection, frames, deadline).await?;
        self.verdict(key, Some(begun))
    }

    /// Says what is new in the registration, if the broker knows the client; else the lane begins with saying it.
    ///
    /// # Errors
    /// When the broker does not answer within `time`.
    pub async fn update(self: &Rc<Self>, time: Duration) -> Result<(), UpstreamError> {
        let deadline = Instant::now() + time;
        if self.registered().is_none() {
            return Ok(());
        }
        let _turn = timeout_at(deadline, self.speaking.lock())
            .await
            .map_err(|_| UpstreamError::Timeout(self.peer()))?;
        let Some(connection) = self.registered() else {
            return Ok(());
        };
        let frames = self.heard.borrow_mut().take_unsaid(&self.registration);
        self.say_all(&connection, frames, deadline).await
    }

    /// The broker's word on the latest heartbeat of that key, if that was said at that moment or later. One that refuses all
    /// ids refuses this one too.
    fn verdict(&self, key: usize, since: Option<Instant>) -> Result<Verdict, UpstreamError> {
        let heard = self.heard.borrow();
        let heartbeat = self.registration.heartbeat(key);
        let verdict = heartbeat.and_then(|heartbeat| heard.verdict(&heartbeat, since));
        let refused = || {
            let refused = matches!(*self.state.borrow(), State::Refused);
            heard.refusal().filter(|_| refused)
        };
        let verdict = verdict.or_else(refused).cloned();
        verdict.ok_or_else(|| UpstreamError::Closed(self.peer()))
    }

    async fn say_all(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        frames: Vec<Frame>,
        deadline: Instant,
    ) -> Result<(), UpstreamError> {
        for frame in frames {
            let asked = Instant::now();
            match self.say(connection, frame.bytes.clone(), deadline).await {
                Ok(answer) => self.judge(&frame, asked, &answer),
                Err(error) => {
                    // What was sent is not sent again before it is due, or the lane is made again.
                    if !matches!(error, UpstreamError::Timeout(_)) {
                        self.heard.borrow_mut().take_back(&frame);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Says one frame to a broker that knows the client. Without an answer by then, the connection is suspect.
    async fn say(
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
                    let judged = self.clone().judge_silence(connection.clone(), answer);
                    tokio::task::spawn_local(judged);
                }
                Err(UpstreamError::Timeout(self.peer()))
            }
        }
    }

    /// Another connection to the broker has fallen silent: whether this one has is not left to the next heartbeat to find out,
    /// which may be half a minute away.
    fn suspect(self: &Rc<Self>, connection: &Rc<Connection>) {
        if connection.is_established() && !self.suspect.replace(true) {
            let nothing: LateAnswer = Box::pin(std::future::pending());
            let judged = self.clone().judge_silence(connection.clone(), nothing);
            tokio::task::spawn_local(judged);
        }
    }

    /// Ends a connection over which nothing is heard any more: a late answer, or one to something else, is a sign of life. The
    /// lane is made again then.
    async fn judge_silence(self: Rc<Self>, connection: Rc<Connection>, late: LateAnswer) {
        let probe = connection.call(probe(&self.context.config), PROBE_LIMIT);
        let is_silent = tokio::select! {
            Ok(_) = late => false,
            // One that could not be asked proves nothing.
            answer = probe => matches!(answer, Err(UpstreamError::Timeout(_))),
        };
        let is_silent = is_silent && self.stays_silent(&connection).await;
        self.suspect.set(false);
        if is_silent {
            debug!(broker = %self.broker, address = %self.address, "a lane fell silent, and is made again");
            connection.close();
        }
    }

    /// Whether a connection stays silent once the broker answers others. One that stands still for a while keeps its clients, as
    /// it keeps those that are connected directly.
    async fn stays_silent(&self, connection: &Connection) -> bool {
        const PAUSE: Duration = Duration::from_millis(250);
        let begun = Instant::now();
        let metrics = self.context.metrics(&self.broker);
        while metrics.failing.get() > 0 && begun.elapsed() < STANDSTILL_MAX {
            tokio::time::sleep(PAUSE).await;
        }
        if begun.elapsed() > PAUSE {
            // What has come meanwhile is read by then.
            tokio::time::sleep(PAUSE).await;
        }
        connection.is_waiting()
    }

    fn judge(&self, frame: &Frame, asked: Instant, answer: &[u8]) {
        if let (true, Ok(verdict)) = (frame.is_heartbeat, Verdict::read(answer)) {
            self.heard.borrow_mut().judge(frame, asked, verdict);
        }
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
