//! One connection to a broker or name server.

mod answers;
mod care;
mod life;
mod requests;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use remoting_codec::{UpstreamOpaque, UpstreamView};
use remoting_transport::{Frame, Outbox};
use tokio::sync::Notify;

use super::breaker::Breaker;
use super::budget::Budget;
use super::context::{Context, Watched};
use super::health::Health;
use super::pending::{Completion, Pending};
use crate::metrics::BrokerMetrics;
use crate::peer::Peer;

/// The client that gets what a broker asks by itself.
pub trait PushTarget {
    /// The broker asks for something.
    fn on_push(&self, from: &Rc<Connection>, frame: Frame<'_>, view: &UpstreamView<'_>);
}

/// A connection to a broker or name server, many requests at a time.
///
/// It exists from the moment that it is wanted: what is asked of it before it is established is
/// written as soon as it is, or answered with the reason why it never was.
pub struct Connection {
    peer: Peer,
    context: Rc<Context>,
    outbox: Outbox<UpstreamOpaque>,
    pending: RefCell<Pending>,
    push_target: Option<Weak<dyn PushTarget>>,
    established: Cell<bool>,
    /// It has been established.
    made: Notify,
    /// It takes no further requests, and ends with the last answer.
    retired: Cell<bool>,
    /// The peer has answered a request.
    answered: Cell<bool>,
    /// It has never done so, and says that it goes away.
    turned_away: Cell<bool>,
    /// It is in the context's list of busy ones.
    is_listed: Cell<bool>,
    health: Health,
    /// Bytes that had arrived when its health was looked at.
    received: Cell<u64>,
    /// What may be written until the next tick, of a connection that is paced.
    credit: Option<Cell<usize>>,
    /// Bytes that had been written then.
    written: Cell<u64>,
    metrics: Arc<BrokerMetrics>,
    /// What clients have outstanding at the peer.
    budget: Rc<Budget>,
    /// Of the address that it leads to; lanes have none.
    breaker: Option<Rc<Breaker>>,
    this: Weak<Self>,
}

/// Bytes that go over a paced connection with each tick: some 7,500 polls a second.
const PACE: usize = 96 * 1024;

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("established", &self.established.get())
            .field("outstanding", &self.pending.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(
        peer: Peer,
        context: Rc<Context>,
        push_target: Option<Weak<dyn PushTarget>>,
        breaker: Option<Rc<Breaker>>,
    ) -> Rc<Self> {
        Self::with_credit(peer, context, push_target, breaker, None)
    }

    fn with_credit(
        peer: Peer,
        context: Rc<Context>,
        push_target: Option<Weak<dyn PushTarget>>,
        breaker: Option<Rc<Breaker>>,
        credit: Option<Cell<usize>>,
    ) -> Rc<Self> {
        let metrics = match peer.broker_name() {
            Some(name) => context.metrics(name),
            // Nobody looks at those of name servers.
            None => Arc::default(),
        };
        let meter = match push_target {
            Some(_) => metrics.lane.clone(),
            None => metrics.data.clone(),
        };
        let budget = context.budget(&peer);
        Rc::new_cyclic(|this| Self {
            budget,
            health: Health::default(),
            received: Cell::new(0),
            credit,
            written: Cell::new(0),
            peer,
            outbox: Outbox::upstream(context.buffers.clone(), meter),
            context,
            pending: RefCell::default(),
            push_target,
            established: Cell::new(false),
            made: Notify::new(),
            retired: Cell::new(false),
            answered: Cell::new(false),
            turned_away: Cell::new(false),
            is_listed: Cell::new(false),
            metrics,
            breaker,
            this: this.clone(),
        })
    }

    /// One over which no more than [`PACE`] goes with each tick: thousands of requests at once would hold up others' in the
    /// broker, which reads its connections with a few threads.
    pub(crate) fn paced(
        peer: Peer,
        context: Rc<Context>,
        breaker: Option<Rc<Breaker>>,
    ) -> Rc<Self> {
        let credit = Some(Cell::new(PACE));
        Self::with_credit(peer, context, None, breaker, credit)
    }

    /// What clients have outstanding at the peer.
    #[must_use]
    pub fn budget(&self) -> &Rc<Budget> {
        &self.budget
    }

    /// The name of the broker that it leads to; `None` for a name server.
    #[must_use]
    pub fn broker_name(&self) -> Option<&str> {
        self.peer.broker_name()
    }

    /// Waits until everything that was sent so far is with the operating system.
    pub async fn flushed(&self) {
        self.outbox.flushed().await;
    }

    /// Ends the connection now. What is outstanding is answered as closed.
    pub fn close(&self) {
        self.outbox.close();
    }

    /// Whether it has come about; what was asked of it before may still be told that it never did.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.established.get()
    }

    /// Waits until it has come about, TLS included; for ever, if it never does.
    pub(crate) async fn established(&self) {
        let made = self.made.notified();
        if !self.established.get() {
            made.await;
        }
    }

    /// Whether it may take further requests.
    pub(crate) fn is_usable(&self) -> bool {
        !self.retired.get() && !self.outbox.is_closed() && !self.is_silent()
    }

    /// Whether something was asked over it and nothing has been heard since.
    pub(super) fn is_waiting(&self) -> bool {
        self.health.is_waiting()
    }

    /// Whether it takes no more requests, and ends with the last answer.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// Whether it has been asked and probed, and says nothing.
    pub(crate) fn is_silent(&self) -> bool {
        self.health.is_silent()
    }

    /// No more requests, and the end once the last answer has come.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.pending.borrow_mut().forget_abandoned();
        self.release();
        self.close_if_done();
    }

    /// Gives up what is outstanding of long polls.
    pub(super) fn give_up_polls(&self) {
        let given_up = self.pending.borrow_mut().remove_polls();
        self.metrics.outstanding.add(-(given_up.len() as i64));
        given_up.into_iter().for_each(Completion::give_up);
    }

    fn close_if_done(&self) {
        if self.retired.get() && self.pending.borrow().len() == 0 {
            self.outbox.finish();
        }
    }
}
