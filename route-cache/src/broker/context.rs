//! What all upstream connections of a worker share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use remoting_transport::Buffers;
use tokio::sync::Notify;

use super::budget::Budget;
use super::gates::Gates;
use crate::clock::Clock;
use crate::config::UpstreamConfig;
use crate::metrics::{BrokerMetrics, UpstreamMetrics};
use crate::peer::Peer;

/// How many ticks pass at the least between two looks for what clients have left behind.
const SWEEP_TICKS: u32 = 20;

/// A connection, as far as the context looks after it.
pub(super) trait Watched {
    /// A tick has passed. False when there is nothing to wait for any more.
    fn tick(&self) -> bool;
    /// Drops what clients have given up: polls of those that must leave, and all requests of those that have left.
    fn release(&self);
}

/// What all upstream connections of a worker share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) clock: Clock,
    pub(crate) config: UpstreamConfig,
    /// A connection has ended, or none came about, since this was last looked at.
    lost: Cell<bool>,
    /// A client has gone that had something outstanding, and how many ticks have passed since that was looked after.
    gone: Cell<bool>,
    ticks: Cell<u32>,
    /// Connections that may have something outstanding. Most lanes have not, most of the time.
    busy: RefCell<Vec<Weak<dyn Watched>>>,
    /// Before each broker's address, who may make a lane.
    pub(crate) gates: Arc<Gates>,
    /// Of brokers, not of name servers.
    metrics: Arc<UpstreamMetrics>,
    /// By peer, rung when a data connection to it has fallen silent.
    alarms: RefCell<HashMap<Peer, Rc<Notify>>>,
    /// What clients have outstanding, by peer.
    budgets: RefCell<HashMap<Peer, Rc<Budget>>>,
}

impl Context {
    pub(crate) fn new(
        buffers: Rc<Buffers>,
        config: UpstreamConfig,
        gates: Arc<Gates>,
        metrics: Arc<UpstreamMetrics>,
    ) -> Self {
        Self {
            buffers,
            clock: Clock::default(),
            config,
            lost: Cell::new(false),
            gone: Cell::new(false),
            ticks: Cell::new(0),
            busy: RefCell::default(),
            gates,
            metrics,
            alarms: RefCell::default(),
            budgets: RefCell::default(),
        }
    }

    /// Notes that a broker was lost: it may have moved.
    pub(super) fn note_lost(&self) {
        self.lost.set(true);
    }

    /// Whether a broker was lost since the last call.
    pub(crate) fn take_lost(&self) -> bool {
        self.lost.take()
    }

    /// Notes that a client has gone that had something outstanding: it is taken out of the tables soon, all of such clients at
    /// a time, for that means to go through the tables.
    pub(crate) fn note_gone(&self) {
        self.gone.set(true);
    }

    /// Has a connection looked at with each tick from now on.
    pub(super) fn watch(&self, connection: Weak<dyn Watched>) {
        self.busy.borrow_mut().push(connection);
    }

    /// Answers the long polls of clients that are to go.
    pub(crate) fn release(&self) {
        let busy: Vec<_> = self
            .busy
            .borrow()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        for connection in busy {
            connection.release();
        }
    }

    /// The figures of a broker.
    pub(crate) fn metrics(&self, broker: &str) -> Arc<BrokerMetrics> {
        self.metrics.broker(broker)
    }

    /// Rung when a data connection to that peer has fallen silent: other connections to it may have, too.
    pub(super) fn alarm(&self, peer: &Peer) -> Rc<Notify> {
        let mut alarms = self.alarms.borrow_mut();
        if let Some(known) = alarms.get(peer) {
            return known.clone();
        }
        // Brokers come and go.
        alarms.retain(|_, alarm| Rc::strong_count(alarm) > 1);
        let new = Rc::<Notify>::default();
        alarms.insert(peer.clone(), new.clone());
        new
    }

    /// What clients have outstanding at that peer.
    pub(super) fn budget(&self, peer: &Peer) -> Rc<Budget> {
        let mut budgets = self.budgets.borrow_mut();
        if let Some(known) = budgets.get(peer) {
            return known.clone();
        }
        // Brokers come and go.
        budgets.retain(|_, budget| Rc::strong_count(budget) > 1);
        let new = Rc::new(Budget::new(self.config.outstanding_limit));
        budgets.insert(peer.clone(), new.clone());
        new
    }

    /// A tick has passed: what is over its time is answered.
    pub(crate) fn tick(&self) {
        self.clock.tick();
        self.buffers.read_clock();
        self.ticks.set(self.ticks.get() + 1);
        if self.ticks.get() >= SWEEP_TICKS && self.gone.take() {
            self.ticks.set(0);
            self.release();
        }
        // What is answered may open connections, so the list is not held meanwhile.
        let mut busy = self.busy.take();
        busy.retain(|connection| connection.upgrade().is_some_and(|it| it.tick()));
        let mut now = self.busy.borrow_mut();
        let new = std::mem::replace(&mut *now, busy);
        now.extend(new);
    }
}
