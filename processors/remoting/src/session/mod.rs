//! One client connection.

mod answering;
pub(crate) mod bodies;
pub(crate) mod kind;
mod leaving;
pub(crate) mod moved;
pub(crate) mod pushes;
pub(crate) mod questions;
pub(crate) mod request;
pub(crate) mod slow_log;
mod tasks;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use messaging::{Caller, Member};
use remoting_codec::body::ConsumeType;
use remoting_codec::{CommandView, Language, RemotingCommand, RequestCode, Version};
use remoting_transport::metrics::Meter;
use remoting_transport::{Account, Outbox};
use route_cache::rate::shown;
use route_cache::{Advertised, Outstanding, Upstream};
use tokio::time::Instant;

use self::tasks::TASKS_MAX;
use crate::error::ProcessError;
use crate::metrics::{Limit, RequestMetrics};
use crate::notice;
use crate::session::leaving::Leaving;
use crate::session::moved::Moved;
use crate::session::pushes::Pushes;
use crate::session::questions::Queries;
use crate::session::request::Incoming;
use crate::session::slow_log::SlowLog;
use crate::settings::Settings;

/// Work that one turn of a client may make before others have theirs, in requests that are relayed.
const TURN_WORK: usize = 64;

/// What a request is worth that becomes a task, or is answered here.
const TASK_WORK: usize = 4;

/// A client connection: whom answers go to, and what the client has said of itself.
pub struct Session {
    pub(crate) upstream: Rc<Upstream>,
    pub(crate) settings: Rc<Settings>,
    /// The client as brokers see it.
    pub(crate) member: Member,
    pub(crate) pushes: RefCell<Pushes>,
    pub(crate) moved: Moved,
    pub(crate) queries: RefCell<Queries>,
    /// Where this client is told that brokers are.
    pub(crate) advertised: Arc<Advertised>,
    pub(crate) metrics: Arc<RequestMetrics>,
    slow_log: Rc<SlowLog>,
    pub(crate) outbox: Outbox,
    /// When the latest frame came.
    heard: Cell<Option<Instant>>,
    /// Who the client is, as its first frame says it.
    identity: Cell<Option<(Language, Version)>>,
    /// Requests of this client that are not answered yet.
    pub(crate) outstanding: Cell<usize>,
    /// Those of them that are at brokers, by broker.
    pub(crate) at_brokers: Outstanding,
    /// Those that went over connections for large ones.
    pub(crate) bulk: Cell<usize>,
    /// Tasks that serve its requests.
    tasks: Cell<usize>,
    /// Work that its latest turn has made.
    turn: Cell<usize>,
    /// What is kept while the client is to go.
    pub(crate) leaving: Leaving,
    /// Frames that have come.
    received: Cell<u64>,
    peer: SocketAddr,
    this: Weak<Self>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer)
            .field("outstanding", &self.outstanding.get())
            .finish_non_exhaustive()
    }
}

/// The counters of one listener's clients.
#[derive(Clone, Debug)]
pub struct SessionMetrics {
    /// Their bytes.
    pub meter: Arc<Meter>,
    /// Their requests.
    pub requests: Arc<RequestMetrics>,
    /// Those of them that take long.
    pub slow_log: Rc<SlowLog>,
}

/// What metrics show of a client.
#[derive(Clone, Debug)]
pub struct ClientSummary {
    /// Its language and version, once it has said something.
    pub identity: Option<(Language, Version)>,
    /// Whether it is in a producer group.
    pub is_producer: bool,
    /// The consumer groups that it is in, and how it gets messages in each.
    pub groups: Vec<(String, ConsumeType)>,
}

impl Session {
    /// A client that has just connected from `peer`, that is told `advertised`; to the listener of
    /// `broker`, if it is one's.
    #[must_use]
    pub fn new(
        upstream: Rc<Upstream>,
        settings: Rc<Settings>,
        peer: SocketAddr,
        advertised: Arc<Advertised>,
        broker: Option<&str>,
        metrics: SessionMetrics,
    ) -> Rc<Self> {
        let (policy, from) = (settings.policy.clone(), peer.ip());
        let caller = Caller::new(upstream.clone(), policy, from, broker);
        let outbox = Outbox::new(upstream.buffers().clone(), metrics.meter);
        outbox.account().join(caller.address().holders().clone());
        Rc::new_cyclic(|this: &Weak<Self>| Self {
            at_brokers: Outstanding::new(caller.address().key()),
            member: Member::new(caller, outbox.account().clone(), this.clone()),
            outbox,
            metrics: metrics.requests,
            slow_log: metrics.slow_log,
            heard: Cell::new(None),
            identity: Cell::new(None),
            upstream,
            settings,
            pushes: RefCell::default(),
            moved: Moved::default(),
            queries: RefCell::default(),
            advertised,
            outstanding: Cell::new(0),
            bulk: Cell::new(0),
            tasks: Cell::new(0),
            turn: Cell::new(0),
            leaving: Leaving::default(),
            received: Cell::new(0),
            peer,
            this: this.clone(),
        })
    }

    /// What is to be written to the client.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The client is gone or must go: its lanes end first, so that brokers forget it before it can come
    /// back through another replica.
    pub fn close(&self) {
        self.member.close();
        self.pushes.take();
        self.account().take(self.leaving.forget());
        self.at_brokers.close();
        if self.outstanding.get() > 0 {
            self.upstream.note_gone();
        }
        self.outbox.close();
    }

    /// The client, as far as it matters to what it asks.
    #[inline]
    pub(crate) fn caller(&self) -> &Caller {
        self.member.caller()
    }

    /// What the client makes the worker hold.
    #[must_use]
    pub fn account(&self) -> &Rc<Account> {
        self.outbox.account()
    }

    /// Where the client connects from.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The proxy stops: the client's lanes end, and its connection once the answers that are there
    /// are written.
    pub fn finish(&self) {
        self.member.close();
        self.outbox.finish();
    }

    /// Changes whenever something came from the client or went to it.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.outbox.bytes_written() + self.received.get()
    }

    /// The client, as metrics see it.
    #[must_use]
    pub fn summary(&self) -> ClientSummary {
        ClientSummary {
            identity: self.identity.get(),
            is_producer: self.member.is_producer(),
            groups: self.member.groups(),
        }
    }

    /// The time when the worker last looked at the clock.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        self.upstream.buffers().now()
    }

    /// Counts an answer that Remora gives itself.
    pub(crate) fn count_own(&self, code: RequestCode, result: i32, begun: Instant) {
        let time = self.now().saturating_duration_since(begun);
        self.metrics.answered(code, result, false, time);
        self.slow_log.look(self, code, result, time);
    }

    /// Counts an answer that several brokers had a part in.
    pub(crate) fn count_passed_on(&self, code: RequestCode, result: i32, begun: Instant) {
        let time = self.now().saturating_duration_since(begun);
        self.metrics.answered(code, result, true, time);
        self.slow_log.look(self, code, result, time);
    }

    /// When the latest frame came.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.heard.get()
    }

    /// Frames that have come.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Whether the client is not read further at the moment.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        !self.may_take_more()
    }

    /// Whether another frame of the client may be taken.
    #[inline]
    pub(crate) fn may_take_more(&self) -> bool {
        !self.is_congested()
            && self.requests() < self.settings.policy.outstanding_limit
            && self.tasks.get() < TASKS_MAX
            && self.may_hold_more()
    }

    /// A frame has come.
    #[inline]
    pub(crate) fn note_frame(&self, view: &CommandView<'_>) {
        if self.received.get() == 0 {
            self.identity.set(Some((view.language(), view.version())));
        }
        self.received.set(self.received.get() + 1);
        self.work(1);
        self.heard.set(Some(self.now()));
    }

    /// The client's turn begins.
    #[inline]
    pub(crate) fn begin_work(&self) {
        self.turn.set(0);
    }

    /// Whether the client has made so much work in this turn that others must have theirs.
    #[inline]
    pub(crate) fn has_worked_enough(&self) -> bool {
        self.turn.get() >= TURN_WORK
    }

    /// A limit ends the client's connection.
    pub fn end_at(&self, limit: Limit) {
        self.metrics.limit(limit);
        self.close();
    }

    /// Who the client is, as its first frame says it.
    pub(crate) fn identity(&self) -> Option<(Language, Version)> {
        self.identity.get()
    }

    /// The client's id, as far as it is shown, language and version, once it has said who it is.
    #[must_use]
    pub fn known_as(&self) -> Option<(String, &'static str, String)> {
        let (language, version) = self.identity.get()?;
        Some((self.member.client_id()?, language.name(), version.name()))
    }

    /// Whether the client is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }

    pub(crate) fn this(&self) -> Option<Rc<Self>> {
        self.this.upgrade()
    }

    /// Answers a request, unless it wants no answer.
    pub(crate) fn answer(&self, incoming: &Incoming<'_>, response: RemotingCommand) {
        let view = incoming.view;
        self.work(TASK_WORK);
        self.count_own(view.request_code(), response.code, incoming.begun);
        if !view.is_oneway() {
            let response = RemotingCommand {
                opaque: view.opaque(),
                serialize_type: view.serialize_type(),
                ..response
            };
            self.outbox.push(&response);
        }
    }

    /// Answers a request with why it was not served.
    pub(crate) fn refuse(&self, incoming: &Incoming<'_>, error: &ProcessError) {
        let view = incoming.view;
        let (peer, code) = (self.peer, view.request_code());
        let reason = error.to_string();
        if matches!(error, ProcessError::NoBrokerName { .. }) && notice::no_broker_name_is_due() {
            let error = shown(&reason);
            tracing::warn!(%peer, %code, %error, "refused; said once a minute");
        } else {
            tracing::debug!(%peer, %code, error = %shown(&reason), "refused");
        }
        let response =
            RemotingCommand::response(error.response_code(), view.opaque(), view.serialize_type());
        self.answer(incoming, response.with_remark(reason));
    }

    /// One more request is outstanding.
    pub(crate) fn begin(&self) {
        self.outstanding.set(self.outstanding.get() + 1);
    }

    /// One fewer is.
    pub(crate) fn end(&self) {
        let before = self.outstanding.get();
        let is_full = self.requests() >= self.settings.policy.outstanding_limit;
        self.outstanding.set(before.saturating_sub(1));
        if is_full {
            self.outbox.wake();
        }
    }

    fn work(&self, amount: usize) {
        self.turn.set(self.turn.get() + amount);
    }

    fn is_congested(&self) -> bool {
        self.outbox.len() > self.settings.client_buffer_limit
    }

    /// Whether the client has room for an answer with a body.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_congested() && !self.account().is_over_share()
    }

    /// Whether what the client makes the worker hold allows for more.
    fn may_hold_more(&self) -> bool {
        let account = self.account();
        account.may_forward() && !account.is_over_share()
    }
}
