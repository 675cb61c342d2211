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

/// The work that a client may cause in one turn before other clients get theirs, in relayed
/// requests.
const TURN_WORK: usize = 64;

/// The work of a request that becomes a task or is answered by Remora, in relayed requests.
const TASK_WORK: usize = 4;

/// The state of one client connection: the outbox for its answers, and what the client has
/// declared.
pub struct Session {
    pub(crate) upstream: Rc<Upstream>,
    pub(crate) settings: Rc<Settings>,
    /// The client as brokers see it.
    pub(crate) member: Member,
    pub(crate) pushes: RefCell<Pushes>,
    pub(crate) moved: Moved,
    pub(crate) queries: RefCell<Queries>,
    /// The addresses that are advertised to this client.
    pub(crate) advertised: Arc<Advertised>,
    pub(crate) metrics: Arc<RequestMetrics>,
    slow_log: Rc<SlowLog>,
    pub(crate) outbox: Outbox,
    /// When the latest frame arrived.
    heard: Cell<Option<Instant>>,
    /// The client's language and version, from its first frame.
    identity: Cell<Option<(Language, Version)>>,
    /// The number of requests of this client that are not answered yet.
    pub(crate) outstanding: Cell<usize>,
    /// The outstanding requests that were relayed, by broker.
    pub(crate) at_brokers: Outstanding,
    /// The number of outstanding requests on connections for large requests.
    pub(crate) bulk: Cell<usize>,
    /// The number of tasks that serve its requests.
    tasks: Cell<usize>,
    /// The work of its current turn, in relayed requests.
    turn: Cell<usize>,
    /// The state of moving the client to another replica.
    pub(crate) leaving: Leaving,
    /// The number of frames that have arrived.
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
    /// The traffic of the listener's clients: bytes, and the time that Remora takes.
    pub meter: Arc<Meter>,
    /// The worker's metrics of requests.
    pub requests: Arc<RequestMetrics>,
    /// The worker's log of slow requests, limited in lines.
    pub slow_log: Rc<SlowLog>,
}

/// The part of a client's state that metrics show.
#[derive(Clone, Debug)]
pub struct ClientSummary {
    /// The protocol that it speaks, as label values have it.
    pub protocol: &'static str,
    /// Whether it counts as a connection: several clients may share one.
    pub is_connection: bool,
    /// Its language and version, once a frame has arrived.
    pub identity: Option<(Language, Version)>,
    /// Whether it has declared any producer group.
    pub is_producer: bool,
    /// The consumer groups that it is in, each with its way of consuming.
    pub groups: Vec<(String, ConsumeType)>,
}

impl Session {
    /// A client that has just connected from `peer`, in whose routes brokers have the `advertised`
    /// addresses. `broker` is the broker of the listener, if it belongs to one.
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

    /// The bytes that wait to be written to the client.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Closes the session. The client's lanes end first, so that brokers unregister the client
    /// before it can connect through another replica.
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

    /// The client as decisions about its requests see it.
    #[inline]
    pub(crate) fn caller(&self) -> &Caller {
        self.member.caller()
    }

    /// The account of the memory that the worker holds for the client.
    #[must_use]
    pub fn account(&self) -> &Rc<Account> {
        self.outbox.account()
    }

    /// The address that the client connects from.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Ends the client's lanes, because the proxy stops. The connection ends once the answers in
    /// the outbox are written.
    pub fn finish(&self) {
        self.member.close();
        self.outbox.finish();
    }

    /// A counter that changes whenever a frame arrives from the client or bytes are written to it.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.outbox.bytes_written() + self.received.get()
    }

    /// The client as metrics show it now.
    #[must_use]
    pub fn summary(&self) -> ClientSummary {
        ClientSummary {
            protocol: "remoting",
            is_connection: true,
            identity: self.identity.get(),
            is_producer: self.member.is_producer(),
            groups: self.member.groups(),
        }
    }

    /// The time at which the worker last read the clock.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        self.upstream.buffers().now()
    }

    /// Counts an answer that Remora made.
    pub(crate) fn count_own(&self, code: RequestCode, result: i32, begun: Instant) {
        let time = self.now().saturating_duration_since(begun);
        self.metrics.answered(code, result, false, time);
        self.slow_log.check(self, code, result, time);
    }

    /// Counts an answer that was joined from those of several brokers.
    pub(crate) fn count_passed_on(&self, code: RequestCode, result: i32, begun: Instant) {
        let time = self.now().saturating_duration_since(begun);
        self.metrics.answered(code, result, true, time);
        self.slow_log.check(self, code, result, time);
    }

    /// When the latest frame arrived.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.heard.get()
    }

    /// The number of frames that have arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Whether reading from the client is paused.
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

    /// Counts a frame that has arrived, and notes the time; the first one names language and
    /// version.
    #[inline]
    pub(crate) fn note_frame(&self, view: &CommandView<'_>) {
        if self.received.get() == 0 {
            self.identity.set(Some((view.language(), view.version())));
        }
        self.received.set(self.received.get() + 1);
        self.work(1);
        self.heard.set(Some(self.now()));
    }

    /// Starts the client's turn.
    #[inline]
    pub(crate) fn begin_work(&self) {
        self.turn.set(0);
    }

    /// Whether the client has used up the work of its turn, so that other clients must get theirs.
    #[inline]
    pub(crate) fn has_worked_enough(&self) -> bool {
        self.turn.get() >= TURN_WORK
    }

    /// Ends the client's connection because of that limit.
    pub fn end_at(&self, limit: Limit) {
        self.metrics.limit(limit);
        self.close();
    }

    /// The client's language and version, from its first frame.
    pub(crate) fn identity(&self) -> Option<(Language, Version)> {
        self.identity.get()
    }

    /// The client's id in the form that logs show, its language and its version, once its first
    /// frame has arrived.
    #[must_use]
    pub fn known_as(&self) -> Option<(String, &'static str, String)> {
        let (language, version) = self.identity.get()?;
        Some((self.member.client_id()?, language.name(), version.name()))
    }

    /// Whether the connection ends or has ended: answers are not written any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }

    pub(crate) fn this(&self) -> Option<Rc<Self>> {
        self.this.upgrade()
    }

    /// Answers a request, unless it is one-way.
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

    /// Answers a request with the error because of which it was not served.
    pub(crate) fn refuse(&self, incoming: &Incoming<'_>, error: &ProcessError) {
        let view = incoming.view;
        let (peer, code) = (self.peer, view.request_code());
        let reason = error.to_string();
        if matches!(error, ProcessError::NoBrokerName { .. }) && notice::no_broker_name_is_due() {
            let error = shown(&reason);
            tracing::warn!(%peer, %code, %error, "request refused; logged once a minute");
        } else {
            tracing::debug!(%peer, %code, error = %shown(&reason), "request refused");
        }
        let response =
            RemotingCommand::response(error.response_code(), view.opaque(), view.serialize_type());
        self.answer(incoming, response.with_remark(reason));
    }

    /// Counts one more outstanding request.
    pub(crate) fn begin(&self) {
        self.outstanding.set(self.outstanding.get() + 1);
    }

    /// Counts one outstanding request less.
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

    /// Whether the outbox has room for an answer with a body.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_congested() && !self.account().is_over_share()
    }

    /// Whether the client's account allows the worker to hold more for it.
    fn may_hold_more(&self) -> bool {
        let account = self.account();
        account.may_forward() && !account.is_over_share()
    }
}
