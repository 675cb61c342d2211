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

/// The client that receives a broker's pushes.
pub trait PushTarget {
    /// Takes a push of the broker.
    fn on_push(&self, from: &Rc<Connection>, frame: Frame<'_>, view: &UpstreamView<'_>);
}

/// A connection to a broker or name server, many requests at a time.
///
/// It takes requests before it is established. They are written as soon as it is, or fail with the
/// error of the attempt to connect.
pub struct Connection {
    peer: Peer,
    context: Rc<Context>,
    outbox: Outbox<UpstreamOpaque>,
    pending: RefCell<Pending>,
    push_target: Option<Weak<dyn PushTarget>>,
    established: Cell<bool>,
    /// Wakes the tasks that wait for the connection to be established.
    made: Notify,
    /// Whether it takes no further requests and ends with the last answer.
    retired: Cell<bool>,
    /// Whether the peer has answered a request.
    answered: Cell<bool>,
    /// Whether the peer has announced its shutdown without having answered a request.
    turned_away: Cell<bool>,
    /// Whether it is in the context's list of busy connections.
    is_listed: Cell<bool>,
    health: Health,
    /// Bytes that had arrived at the last check of its health.
    received: Cell<u64>,
    /// Bytes that may be written until the next tick; only for a paced connection.
    credit: Option<Cell<usize>>,
    /// Bytes that had been written at the last check of its health.
    written: Cell<u64>,
    metrics: Arc<BrokerMetrics>,
    /// The budget of clients' outstanding requests at the peer.
    budget: Rc<Budget>,
    /// The circuit breaker of its address; lanes have none.
    breaker: Option<Rc<Breaker>>,
    this: Weak<Self>,
}

/// Bytes that are written to a paced connection with each tick: some 7,500 polls a second. All
/// workers together write at most twice as much to a broker.
const PACE: usize = 96 * 1024;

/// Bytes that each worker may write with a tick, however many workers there are.
const LEAST_PACE: usize = 4 * 1024;

/// The bytes that one of so many workers writes to a paced connection with each tick.
fn pace(workers: usize) -> usize {
    (2 * PACE / workers.max(1)).clamp(LEAST_PACE, PACE)
}

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
            // The metrics of name servers are not published.
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

    /// A connection to which at most [`pace`] bytes are written with each tick: thousands of
    /// requests at once would delay other requests in the broker, which reads its connections with
    /// a few threads.
    pub(crate) fn paced(
        peer: Peer,
        context: Rc<Context>,
        breaker: Option<Rc<Breaker>>,
    ) -> Rc<Self> {
        let credit = Some(Cell::new(pace(context.config.workers)));
        Self::with_credit(peer, context, None, breaker, credit)
    }

    /// The budget of clients' outstanding requests at the peer.
    #[must_use]
    pub fn budget(&self) -> &Rc<Budget> {
        &self.budget
    }

    /// The name of its broker; `None` for a name server.
    #[must_use]
    pub fn broker_name(&self) -> Option<&str> {
        self.peer.broker_name()
    }

    /// Waits until all earlier requests were handed to the operating system.
    pub async fn flushed(&self) {
        self.outbox.flushed().await;
    }

    /// Ends the connection now. Outstanding requests fail with
    /// [`UpstreamError::Closed`](crate::UpstreamError::Closed).
    pub fn close(&self) {
        self.outbox.close();
    }

    /// Whether it was ever established, TLS included; still true after it has ended.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.established.get()
    }

    /// Waits until it is established, TLS included; without end if it never is.
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

    /// Whether something was sent that needs an answer, and nothing has arrived since.
    pub(super) fn is_waiting(&self) -> bool {
        self.health.is_waiting()
    }

    /// Whether it takes no further requests and ends with the last answer.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// Whether neither requests nor a probe were answered.
    pub(crate) fn is_silent(&self) -> bool {
        self.health.is_silent()
    }

    /// Takes no further requests, and ends once the last answer has arrived.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.pending.borrow_mut().forget_abandoned();
        self.release();
        self.close_if_done();
    }

    /// Gives up the outstanding long polls.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_workers_write_no_more_than_two() {
        assert_eq!([1, 2].map(pace), [PACE, PACE]);
        for workers in [3, 8, 32] {
            assert!(workers * pace(workers) <= 2 * PACE, "{workers}");
        }
        assert_eq!(pace(1024), LEAST_PACE);
    }
}
