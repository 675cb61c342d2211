//! Whether a broker answers at all.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tracing::{info, warn};

use crate::metrics::BrokerMetrics;
use crate::peer::Peer;

/// Whether requests to one address of a broker are refused at once, so that clients try another broker instead of waiting
/// for this one.
///
/// The circuit opens when connections cannot be made, several times in a row, or when one that was made has fallen silent:
/// what single requests meet with proves nothing. While it is open, Remora itself tries whether the broker is back
/// ([`super::link`]); any answer, however late, closes it.
#[derive(Debug)]
pub(crate) struct Breaker {
    peer: Peer,
    address: Arc<str>,
    metrics: Arc<BrokerMetrics>,
    /// Connections in a row that did not come about, after which the circuit opens.
    limit: u32,
    failures: Cell<u32>,
    open: Cell<bool>,
    abandoned: Cell<bool>,
    /// Somebody asks whether the broker is back.
    asked: Cell<bool>,
    /// A connection has fallen silent.
    silence: Notify,
}

impl Breaker {
    pub(super) fn new(
        peer: Peer,
        address: Arc<str>,
        metrics: Arc<BrokerMetrics>,
        limit: u32,
    ) -> Rc<Self> {
        Rc::new(Self {
            peer,
            address,
            metrics,
            limit,
            failures: Cell::new(0),
            open: Cell::new(false),
            abandoned: Cell::new(false),
            asked: Cell::new(false),
            silence: Notify::new(),
        })
    }

    /// Where the broker is that this is about.
    pub(super) fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Whether requests are to be refused.
    pub(super) fn is_open(&self) -> bool {
        self.open.get()
    }

    /// A connection has fallen silent. Until the broker has answered over a new one, none takes requests: what has gone silent
    /// may be the connection, or the broker. One that took none any more says nothing about those that do.
    pub(super) fn note_silence(&self, was_used: bool) {
        if was_used {
            self.open_for("a connection has fallen silent");
        }
        self.silence.notify_waiters();
    }

    /// Waits until the connection that `is_silent` looks at has fallen silent.
    pub(super) async fn until_silent(&self, is_silent: impl Fn() -> bool) {
        loop {
            let silence = self.silence.notified();
            if is_silent() {
                return;
            }
            silence.await;
        }
    }

    /// Whether the circuit is open and nobody asks yet whether the broker is back: the caller has to.
    pub(super) fn begin_asking(&self) -> bool {
        self.is_open() && !self.asked.replace(true)
    }

    /// The caller asks no longer.
    pub(super) fn end_asking(&self) {
        self.asked.set(false);
    }

    /// An answer has come.
    pub(super) fn succeeded(&self) {
        self.failures.set(0);
        if self.open.replace(false) {
            self.metrics.failing.add(-1);
            info!(peer = %self.peer, address = %self.address, "circuit closed: the broker answers again");
        }
    }

    /// A connection has come about.
    pub(super) fn connected(&self) {
        self.failures.set(0);
    }

    /// A connection did not come about; several in a row open the circuit.
    pub(super) fn failed(&self) {
        let failures = self.failures.get().saturating_add(1);
        self.failures.set(failures);
        if failures >= self.limit {
            self.open_for("no connection can be made");
        }
    }

    fn open_for(&self, reason: &str) {
        if self.abandoned.get() || self.open.replace(true) {
            return;
        }
        warn!(peer = %self.peer, address = %self.address, reason, "circuit opened: requests fail at once until the broker answers");
        self.metrics.failing.add(1);
    }

    /// The broker is not there any more: whether it answers is of no interest.
    pub(super) fn abandon(&self) {
        self.abandoned.set(true);
        if self.open.replace(false) {
            self.metrics.failing.add(-1);
        }
    }
}
