//! One client connection.

pub(crate) mod bodies;
pub(crate) mod leaving;
pub(crate) mod look_ups;
pub(crate) mod membership;
pub(crate) mod pushes;
pub(crate) mod request;
pub(crate) mod requester;
pub(crate) mod slow_log;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use remoting_codec::body::ConsumeType;
use remoting_codec::{
    CommandView, DecodeError, Language, RemotingCommand, RequestCode, ResponseCode, Version,
};
use remoting_transport::metrics::Meter;
use remoting_transport::{Account, Frame, FrameHandler, Outbox};
use route_cache::rate::shown;
use route_cache::{
    Address, Advertised, Connection, Origin, Outstanding, PushTarget, RelayTarget, Upstream,
    UpstreamError,
};
use tokio::time::Instant;

use crate::consume::pull;
use crate::consume::replica::Moved;
use crate::dispatch;
use crate::error::ProcessError;
use crate::metrics::{Limit, RequestMetrics, Tag};
use crate::notice;
use crate::session::leaving::Leaving;
use crate::session::look_ups::LookUps;
use crate::session::membership::Membership;
use crate::session::pushes::Pushes;
use crate::session::request::Request;
use crate::session::slow_log::SlowLog;
use crate::settings::Settings;
use crate::topic::query_message::Queries;

/// Most tasks that one client may have under way: what they keep is charged to it, but what they do is not.
const TASKS_MAX: usize = 256;

/// Work that one turn of a client may make before others have theirs, in requests that are relayed.
const TURN_WORK: usize = 64;

/// What a request is worth that becomes a task, or is answered here.
const TASK_WORK: usize = 4;

/// What a task takes beside its request.
const TASK_BYTES: usize = 1024;

/// A client connection: whom answers go to, and what the client has said of itself.
pub struct Session {
    pub(crate) upstream: Rc<Upstream>,
    pub(crate) settings: Rc<Settings>,
    pub(crate) membership: RefCell<Membership>,
    pub(crate) pushes: RefCell<Pushes>,
    pub(crate) moved: Moved,
    pub(crate) look_ups: LookUps,
    pub(crate) queries: RefCell<Queries>,
    /// Where this client is told that brokers are.
    pub(crate) advertised: Arc<Advertised>,
    /// The broker that everything here is for, on a listener that belongs to one.
    pub(crate) broker: Option<Rc<str>>,
    pub(crate) metrics: Arc<RequestMetrics>,
    slow_log: Rc<SlowLog>,
    pub(crate) outbox: Outbox,
    /// When the request was read whose task runs now.
    task_begun: Cell<Option<Instant>>,
    /// When the latest frame came.
    heard: Cell<Option<Instant>>,
    /// Who the client is, as its first frame says it.
    identity: Cell<Option<(Language, Version)>>,
    /// Requests of this client that are not answered yet.
    pub(crate) outstanding: Cell<usize>,
    /// What it shares with other clients from where it comes.
    pub(crate) address: Rc<Address>,
    /// Those of them that are at brokers, by broker.
    pub(crate) at_brokers: Outstanding,
    /// Those that went over connections for large ones.
    pub(crate) bulk: Cell<usize>,
    /// Tasks that serve its requests.
    tasks: Cell<usize>,
    /// Work that its latest turn has made.
    turn: Cell<usize>,
    /// What is charged for what the client has declared.
    declared: Cell<usize>,
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

/// Where what clients of one listener do is counted.
#[derive(Clone, Debug)]
pub struct Counting {
    /// Their bytes.
    pub meter: Arc<Meter>,
    /// Their requests.
    pub requests: Arc<RequestMetrics>,
    /// Those of them that take long.
    pub slow_log: Rc<SlowLog>,
}

/// A client, as far as gauges tell clients apart.
#[derive(Clone, Debug)]
pub struct Described {
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
        counting: Counting,
    ) -> Rc<Self> {
        let address = upstream.address(peer.ip().into());
        let outbox = Outbox::new(upstream.buffers().clone(), counting.meter);
        outbox.account().join(address.holders().clone());
        Rc::new_cyclic(|this| Self {
            outbox,
            metrics: counting.requests,
            slow_log: counting.slow_log,
            task_begun: Cell::new(None),
            heard: Cell::new(None),
            identity: Cell::new(None),
            upstream,
            settings,
            membership: RefCell::default(),
            pushes: RefCell::default(),
            moved: Moved::default(),
            look_ups: LookUps::default(),
            queries: RefCell::default(),
            advertised,
            broker: broker.map(Rc::from),
            outstanding: Cell::new(0),
            at_brokers: Outstanding::new(address.key()),
            address,
            bulk: Cell::new(0),
            tasks: Cell::new(0),
            turn: Cell::new(0),
            declared: Cell::new(0),
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
        self.membership.borrow_mut().close();
        self.charge_declared();
        self.pushes.take();
        self.account().take(self.leaving.forget());
        self.at_brokers.close();
        if self.outstanding.get() > 0 {
            self.upstream.note_gone();
        }
        self.outbox.close();
    }

    /// Charges what is kept of what the client has declared.
    pub(crate) fn charge_declared(&self) {
        let bytes = self.membership.borrow().held_bytes();
        self.account().add(bytes);
        self.account().take(self.declared.replace(bytes));
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
        self.membership.borrow_mut().close();
        self.outbox.finish();
    }

    /// Changes whenever something came from the client or went to it.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.outbox.bytes_written() + self.received.get()
    }

    /// What is to be told of the client.
    #[must_use]
    pub fn describe(&self) -> Described {
        let membership = self.membership.borrow();
        Described {
            identity: self.identity.get(),
            is_producer: membership.is_producer(),
            groups: membership
                .groups()
                .map(|(group, consume_type)| (group.to_owned(), consume_type))
                .collect(),
        }
    }

    /// When what is being served now was read.
    pub(crate) fn begun(&self) -> Instant {
        self.task_begun
            .get()
            .unwrap_or_else(|| self.upstream.buffers().now())
    }

    /// Counts an answer that Remora gives itself.
    pub(crate) fn count_own(&self, code: RequestCode, result: i32, begun: Instant) {
        let time = self
            .upstream
            .buffers()
            .now()
            .saturating_duration_since(begun);
        self.metrics.answered(code, result, false, time);
        self.slow_log.look(self, code, result, time);
    }

    /// Counts an answer that several brokers had a part in.
    pub(crate) fn count_passed_on(&self, code: RequestCode, result: i32) {
        let now = self.upstream.buffers().now();
        let time = now.saturating_duration_since(self.begun());
        self.metrics.answered(code, result, true, time);
        self.slow_log.look(self, code, result, time);
    }

    /// The client's id, if it has said one, as far as it is shown.
    pub(crate) fn client_id(&self) -> Option<String> {
        let membership = self.membership.borrow();
        Some(shown(membership.client_id()?).to_owned())
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
        !self.is_ready()
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
        Some((self.client_id()?, language.name(), version.name()))
    }

    /// Whether the client is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }

    pub(crate) fn this(&self) -> Option<Rc<Self>> {
        self.this.upgrade()
    }

    /// Answers a request, unless it wants no answer.
    pub(crate) fn answer(&self, view: &CommandView<'_>, response: RemotingCommand) {
        self.work(TASK_WORK);
        self.count_own(view.request_code(), response.code, self.begun());
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
    pub(crate) fn refuse(&self, view: &CommandView<'_>, error: &ProcessError) {
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
        self.answer(view, response.with_remark(reason));
    }

    /// Serves a request in a task of its own: the request is kept, counts as outstanding meanwhile,
    /// and is refused with the error that the task ends with.
    pub(crate) fn spawn<F>(
        self: &Rc<Self>,
        request: Request,
        serve: impl FnOnce(Rc<Self>, Request) -> F,
    ) where
        F: Future<Output = Result<(), ProcessError>> + 'static,
    {
        self.spawn_since(request, self.begun(), serve);
    }

    /// The same for a request that came a while ago.
    pub(crate) fn spawn_since<F>(
        self: &Rc<Self>,
        request: Request,
        begun: Instant,
        serve: impl FnOnce(Rc<Self>, Request) -> F,
    ) where
        F: Future<Output = Result<(), ProcessError>> + 'static,
    {
        let session = self.clone();
        let held = self.account().hold(request.len() + TASK_BYTES);
        let served = serve(self.clone(), request.clone());
        session.begin();
        session.tasks.set(session.tasks.get() + 1);
        session.work(TASK_WORK);
        tokio::task::spawn_local(async move {
            let _held = held;
            let served = {
                let mut served = pin!(served);
                poll_fn(|cx| {
                    session.upstream.buffers().stamp();
                    session.task_begun.set(Some(begun));
                    let served = served.as_mut().poll(cx);
                    session.task_begun.set(None);
                    served
                })
                .await
            };
            session.task_begun.set(Some(begun));
            session.end_task();
            session.end();
            if let (Err(error), Ok(view)) = (served, request.view()) {
                session.refuse(&view, &error);
            }
            session.task_begun.set(None);
            session.leave_behind_answer();
        });
    }

    /// One more request is outstanding.
    pub(crate) fn begin(&self) {
        self.outstanding.set(self.outstanding.get() + 1);
    }

    /// One fewer is.
    pub(crate) fn end(&self) {
        let before = self.outstanding.get();
        let is_full = self.requests() >= self.settings.outstanding_limit;
        self.outstanding.set(before.saturating_sub(1));
        if is_full {
            self.outbox.wake();
        }
    }

    fn work(&self, amount: usize) {
        self.turn.set(self.turn.get() + amount);
    }

    fn end_task(&self) {
        let before = self.tasks.get();
        self.tasks.set(before.saturating_sub(1));
        if before == TASKS_MAX {
            self.outbox.wake();
        }
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

impl FrameHandler for Session {
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        let view = CommandView::decode(frame.bytes())?;
        if self.received.get() == 0 {
            self.identity.set(Some((view.language(), view.version())));
        }
        self.received.set(self.received.get() + 1);
        self.work(1);
        self.heard.set(Some(self.upstream.buffers().now()));
        let Some(this) = self.this() else {
            return Ok(());
        };
        if view.is_response() {
            pushes::on_response(self, &frame, &view);
        } else if let Some(refusal) = self.refusal(&view) {
            self.answer(&view, refusal);
        } else if self.keeps(&view) {
            // Answered when the client has nothing more to ask.
        } else {
            dispatch::dispatch(&this, &frame, &view);
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        !self.is_congested()
            && self.requests() < self.settings.outstanding_limit
            && self.tasks.get() < TASKS_MAX
            && self.may_hold_more()
    }

    /// Polls that the client has left are given up, so that the rest of what it said can be taken.
    fn peer_ended(&self) {
        self.give_up_polls();
        self.upstream.note_gone();
    }

    fn begin_turn(&self) {
        self.turn.set(0);
    }

    fn is_turn_over(&self) -> bool {
        self.turn.get() >= TURN_WORK
    }

    fn waits_for_turns(&self) -> bool {
        true
    }
}

impl RelayTarget for Session {
    fn on_answer(&self, origin: Origin, frame: Frame<'_>, view: &CommandView<'_>) {
        self.end_of(&origin);
        let now = self.upstream.buffers().now();
        let time = now.saturating_duration_since(origin.ticket.begun);
        self.metrics.answered(origin.code, view.code(), true, time);
        self.slow_log.look(self, origin.code, view.code(), time);
        if view.body().is_empty() || self.has_room() {
            if view.code() == ResponseCode::SUCCESS.0 {
                self.metrics.count(Tag(origin.ticket.tag), view.body());
            }
            self.outbox.push_relayed(&frame, view, origin.opaque);
        } else {
            let limit = match self.is_congested() {
                true => Limit::ClientBuffer,
                false => Limit::Memory,
            };
            self.metrics.limit(limit);
            // There is no room for a body. What was pulled can be pulled again.
            let again = Some(view)
                .filter(|view| is_pull(origin.code) && view.code() == ResponseCode::SUCCESS.0)
                .map(|view| pull::ask_again(view, origin.ticket.note));
            let busy = || {
                let busy = ResponseCode::SYSTEM_BUSY;
                RemotingCommand::response(busy, origin.opaque, origin.serialize_type)
                    .with_remark("the client does not read what it asks for")
            };
            self.outbox.push(&RemotingCommand {
                opaque: origin.opaque,
                serialize_type: origin.serialize_type,
                ..again.unwrap_or_else(busy)
            });
        }
        // Even what is short adds up, for a client that reads nothing at all.
        if self.outbox.len()
            > self.settings.client_buffer_limit + self.upstream.config().frame_limit
        {
            self.close();
        }
        self.leave_behind_answer();
    }

    fn gives_up(&self, origin: &Origin) -> bool {
        self.is_closed() || (self.gives_up_polls() && origin.code.is_long_poll())
    }

    fn on_given_up(&self, origin: Origin) {
        self.end_of(&origin);
        if !self.is_closed() {
            self.answer_empty(&origin);
        }
    }

    fn on_failure(&self, origin: Origin, error: UpstreamError) {
        self.end_of(&origin);
        let error = ProcessError::from(error);
        tracing::debug!(peer = %self.peer, code = %origin.code, %error, "not answered");
        let code = error.response_code();
        self.count_own(origin.code, code.0, origin.ticket.begun);
        let response = RemotingCommand::response(code, origin.opaque, origin.serialize_type);
        self.outbox.push(&response.with_remark(error.to_string()));
    }
}

impl PushTarget for Session {
    fn on_push(&self, from: &Rc<Connection>, frame: Frame<'_>, view: &CommandView<'_>) {
        if !self.is_closed() && !self.is_congested() {
            pushes::on_push(self, from, &frame, view);
        }
    }
}

fn is_pull(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE
    )
}
