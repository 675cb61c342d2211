//! One connection of HTTP. Behind a balancer it may carry the calls of many clients.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use messaging::{Caller, Policy, Requests};
use remoting_transport::metrics::{Counter, Meter};
use remoting_transport::{Account, Held};
use route_cache::Upstream;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::reply::Reply;
use crate::traffic::Traffic;
use crate::unread::{Watch, Watched};

/// Bytes of memory of an idle connection beside those that every account has. Of HTTP/1, two
/// buffers of 8 KiB are most of it.
const IDLE_BYTES: usize = 24 * 1024;

/// Where a client has connected to, and from.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The client's address.
    pub peer: SocketAddr,
    /// The address that routes name when a call does not: `host:port`.
    pub advertised: Arc<str>,
    /// Counts the bytes of the listener.
    pub meter: Arc<Meter>,
}

/// The versions of HTTP, which differ in how they share a connection among calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// HTTP/1.1 and HTTP/1.0: one call after the other.
    Http1,
    /// HTTP/2: many calls at a time.
    Http2,
}

/// The settings of connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Timeouts and limits of requests to brokers.
    pub policy: Arc<Policy>,
    /// How long a request may take to arrive, and how long a part of an answer may wait for the
    /// client to read.
    pub frame_time: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Arc::default(),
            frame_time: Duration::from_secs(30),
        }
    }
}

/// What a worker counts of its connections.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Streams that were reset because their client did not read the answer.
    pub unread: Counter,
}

/// How far the end of a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// Calls are served.
    None,
    /// The client is asked to leave; calls that have begun are answered.
    Leaving,
    /// It ends now.
    Closed,
}

/// A connection, whatever protocol its calls are of.
pub struct Connection {
    /// The client's requests to brokers.
    pub requests: Rc<Requests>,
    /// Where the client has connected to, and from.
    pub endpoint: Endpoint,
    pub(crate) version: Version,
    pub(crate) frame_time: Duration,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) traffic: Rc<Traffic>,
    pub(crate) watch: Rc<Watch>,
    pub(crate) exchange: Exchange,
    calls: Cell<u64>,
    ending: Cell<Ending>,
    /// Wakes the tasks that wait for the next stage of the ending.
    changed: Notify,
    _held: Held,
}

/// The call that a connection of HTTP/1 serves.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// Whether a call is served.
    is_busy: Cell<bool>,
    /// Whether all of its request has arrived, so that nothing more is awaited of the client.
    has_request: Cell<bool>,
    /// The bytes that had arrived when the last call was answered.
    received_before: Cell<u64>,
    /// How often, since the client has closed its side, more of the request was asked for in vain.
    in_vain: Cell<u8>,
}

/// How often more of a request is asked for of a client that has closed its side, before what has
/// arrived is taken for all: hyper hands on what it has read with the next look at the connection.
const IN_VAIN_MAX: u8 = 4;

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.endpoint.peer)
            .field("calls", &self.calls.get())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection that has just been made, of a worker with these connections to brokers.
    #[must_use]
    pub fn new(
        upstream: Rc<Upstream>,
        settings: &Settings,
        metrics: Arc<Metrics>,
        version: Version,
        endpoint: Endpoint,
    ) -> Rc<Self> {
        let buffers = upstream.buffers();
        let account = Account::open(buffers.ledger().clone());
        let traffic = Traffic::new(endpoint.meter.clone(), buffers.turns().clone());
        let from = endpoint.peer.ip();
        let caller = Caller::new(upstream, settings.policy.clone(), from, None);
        account.join(caller.address().holders().clone());
        Rc::new(Self {
            _held: account.hold(IDLE_BYTES),
            requests: Requests::new(caller, account),
            endpoint,
            version,
            frame_time: settings.frame_time,
            metrics,
            traffic,
            watch: Rc::default(),
            exchange: Exchange::default(),
            calls: Cell::new(0),
            ending: Cell::new(Ending::None),
            changed: Notify::new(),
        })
    }

    /// The worker's connections to brokers.
    #[must_use]
    pub fn upstream(&self) -> &Rc<Upstream> {
        self.requests.caller().upstream()
    }

    /// How long a request may take to arrive.
    #[must_use]
    pub fn frame_time(&self) -> Duration {
        self.frame_time
    }

    /// The body of an answer on this connection.
    #[must_use]
    pub fn body(&self, reply: Reply) -> Watched {
        Watched::new(reply, self.watch.clone())
    }

    /// Counts a call that has arrived.
    pub(crate) fn count_call(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    /// Since when nothing could be written to it, although something waits.
    #[must_use]
    pub fn blocked(&self) -> Option<Instant> {
        self.traffic.blocked()
    }

    /// The stage of the connection's ending.
    pub(crate) fn ending(&self) -> Ending {
        self.ending.get()
    }

    /// Waits until the client is asked to leave, the connection ends, or the client has closed its
    /// side of it. May return without one of these.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Ends the connection.
    pub fn close(&self) {
        self.requests.close();
        self.ending.set(Ending::Closed);
        self.changed.notify_waiters();
    }

    /// Asks the client to leave: long polls are answered without messages, and no further call is
    /// taken. The connection ends when the last call is answered.
    pub fn leave(&self) {
        if self.is_leaving() {
            return;
        }
        self.ending.set(Ending::Leaving);
        self.requests.give_up_polls();
        self.changed.notify_waiters();
    }

    /// Whether the client was asked to leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.ending.get() != Ending::None
    }

    /// Whether the connection has ended, or ends now.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ending.get() == Ending::Closed
    }

    /// Whether nothing that takes long should be started any more: the client was asked to leave,
    /// or has closed its side of a connection of HTTP/1 and may not read the answer.
    #[must_use]
    pub fn must_hurry(&self) -> bool {
        self.is_leaving() || self.requests.has_left()
    }

    /// The client's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.endpoint.peer
    }

    /// The account of the memory that the worker holds for the connection.
    #[must_use]
    pub fn account(&self) -> &Rc<Account> {
        self.requests.account()
    }

    /// The version of HTTP that the client speaks.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// A counter that changes when bytes arrive or leave, and when the client is asked to leave.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.traffic.bytes() + u64::from(self.is_leaving())
    }

    /// Whether the client has opened HTTP/2: its preface and its settings have arrived. HTTP/1 has
    /// nothing of that kind before the first call.
    #[must_use]
    pub fn is_open(&self) -> bool {
        const PREFACE: u64 = 24 + 9;
        self.version == Version::Http2 && self.traffic.received() >= PREFACE
    }

    /// Whether a part of a request's head has arrived, and the rest is awaited. Of HTTP/2 it is not
    /// known: there, the client's frames are complete or are not.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        let exchange = &self.exchange;
        self.version == Version::Http1
            && !exchange.is_busy.get()
            && !self.requests.has_left()
            && self.traffic.received() > exchange.received_before.get()
    }

    /// How many calls have arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.calls.get()
    }

    /// The head of a call of HTTP/1 has arrived, with a body or without one.
    pub(crate) fn begin_exchange(&self, has_body: bool) {
        self.exchange.is_busy.set(true);
        self.exchange.has_request.set(!has_body);
        self.exchange.in_vain.set(0);
    }

    /// More of the request is awaited. Returns whether to look again at once, because the client
    /// has closed its side: either the rest has arrived with that, or it never will.
    pub(crate) fn awaits_more(&self) -> bool {
        let exchange = &self.exchange;
        let count = exchange.in_vain.get();
        let looks = self.requests.has_left() && count < IN_VAIN_MAX;
        if looks {
            exchange.in_vain.set(count + 1);
        }
        looks
    }

    /// All of the request that is served on a connection of HTTP/1 has arrived.
    pub(crate) fn note_request(&self) {
        self.exchange.has_request.set(true);
    }

    /// The call is answered, or given up.
    pub(crate) fn end_exchange(&self) {
        let exchange = &self.exchange;
        exchange.is_busy.set(false);
        exchange.has_request.set(false);
        exchange.received_before.set(self.traffic.received());
    }

    /// Whether an answer is on its way that a client may still want which has closed its side.
    pub(crate) fn owes_answer(&self) -> bool {
        let exchange = &self.exchange;
        let may_have_all = exchange.has_request.get() || exchange.in_vain.get() < IN_VAIN_MAX;
        let is_served = exchange.is_busy.get() && may_have_all;
        is_served || self.traffic.blocked().is_some()
    }

    /// The client has closed its side: it may be gone, or may wait for its last answer. What waits
    /// for messages ends.
    pub(crate) fn note_left(&self) {
        if !self.requests.has_left() {
            self.requests.leave();
            self.changed.notify_waiters();
        }
    }
}
