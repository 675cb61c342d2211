//! The state that all upstream connections of a worker share.

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

/// The least number of ticks between two searches for requests of disconnected clients.
const SWEEP_TICKS: u32 = 20;

/// Ticks between two samples: one lane to each peer is probed every 2.5 s. Lanes mostly fall silent
/// together, so that each lane need not have a keep-alive of its own.
const SAMPLE_TICKS: u32 = 50;

/// A connection that the context calls with each tick.
pub(super) trait Watched {
    /// Does the work of a tick. Returns false when nothing is outstanding any more.
    fn tick(&self) -> bool;
    /// Drops requests that clients have given up: polls of clients that are moved, and all requests
    /// of disconnected clients.
    fn release(&self);
}

/// The state that all upstream connections of a worker share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) clock: Clock,
    pub(crate) config: UpstreamConfig,
    /// Whether a connection was lost or could not be established since
    /// [`take_lost`](Self::take_lost) was called last.
    lost: Cell<bool>,
    /// Whether a client with outstanding requests has disconnected since the last search.
    gone: Cell<bool>,
    ticks: Cell<u32>,
    /// Connections that may have something outstanding. Most lanes rarely have.
    busy: RefCell<Vec<Weak<dyn Watched>>>,
    /// Limits how many lanes are opened to each broker's address at the same time.
    pub(crate) gates: Arc<Gates>,
    /// Metrics of brokers, not of name servers.
    metrics: Arc<UpstreamMetrics>,
    /// By peer, notified when a data connection to it has fallen silent.
    alarms: RefCell<HashMap<Peer, Rc<Notify>>>,
    /// By peer, wakes one of its lanes from time to time, which must then prove that it is not
    /// silent.
    samples: RefCell<HashMap<Peer, Rc<Notify>>>,
    /// Ticks until the next sample.
    until_sample: Cell<u32>,
    /// Budgets of clients' outstanding requests, by peer.
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
            samples: RefCell::default(),
            until_sample: Cell::new(SAMPLE_TICKS),
            budgets: RefCell::default(),
        }
    }

    /// Records that a connection to a broker was lost: the broker may have moved.
    pub(super) fn note_lost(&self) {
        self.lost.set(true);
    }

    /// Whether a connection was lost since the last call.
    pub(crate) fn take_lost(&self) -> bool {
        self.lost.take()
    }

    /// Records that a client with outstanding requests has disconnected. They are removed from the
    /// tables soon, together with those of other such clients, because the tables must be searched.
    pub(crate) fn note_gone(&self) {
        self.gone.set(true);
    }

    /// Calls that connection with each tick from now on.
    pub(super) fn watch(&self, connection: Weak<dyn Watched>) {
        self.busy.borrow_mut().push(connection);
    }

    /// Answers the long polls of clients that must move to other replicas.
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

    /// The worker's metrics of the broker of that name, created at the first call.
    pub(crate) fn metrics(&self, broker: &str) -> Arc<BrokerMetrics> {
        self.metrics.broker(broker)
    }

    /// Notified when a data connection to that peer has fallen silent: other connections to it may
    /// have, too.
    pub(super) fn alarm(&self, peer: &Peer) -> Rc<Notify> {
        of_peer(&self.alarms, peer)
    }

    /// Wakes one lane to that peer after the other, one with each sample.
    pub(super) fn sample(&self, peer: &Peer) -> Rc<Notify> {
        of_peer(&self.samples, peer)
    }

    /// The budget of clients' outstanding requests at that peer.
    pub(super) fn budget(&self, peer: &Peer) -> Rc<Budget> {
        let mut budgets = self.budgets.borrow_mut();
        if let Some(known) = budgets.get(peer) {
            return known.clone();
        }
        // Entries of brokers that are not in use any more are dropped.
        budgets.retain(|_, budget| Rc::strong_count(budget) > 1);
        let new = Rc::new(Budget::new(self.config.outstanding_limit));
        budgets.insert(peer.clone(), new.clone());
        new
    }

    /// Does the work of a tick: requests whose deadline has passed fail.
    pub(crate) fn tick(&self) {
        self.clock.tick();
        self.buffers.read_clock();
        self.ticks.set(self.ticks.get() + 1);
        self.until_sample.set(self.until_sample.get() - 1);
        if self.until_sample.get() == 0 {
            self.until_sample.set(SAMPLE_TICKS);
            for sample in self.samples.borrow().values() {
                sample.notify_one();
            }
        }
        if self.ticks.get() >= SWEEP_TICKS && self.gone.take() {
            self.ticks.set(0);
            self.release();
        }
        // Failing a request may open a connection, so the list is not borrowed meanwhile.
        let mut busy = self.busy.take();
        busy.retain(|connection| connection.upgrade().is_some_and(|it| it.tick()));
        let mut now = self.busy.borrow_mut();
        let new = std::mem::replace(&mut *now, busy);
        now.extend(new);
    }
}

/// The entry of that peer. Entries of brokers that are not in use any more are dropped.
fn of_peer(all: &RefCell<HashMap<Peer, Rc<Notify>>>, peer: &Peer) -> Rc<Notify> {
    let mut all = all.borrow_mut();
    if let Some(known) = all.get(peer) {
        return known.clone();
    }
    all.retain(|_, notify| Rc::strong_count(notify) > 1);
    let new = Rc::<Notify>::default();
    all.insert(peer.clone(), new.clone());
    new
}
