//! The circuit breaker of a broker's address.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tracing::{info, warn};

use crate::metrics::BrokerMetrics;
use crate::peer::Peer;

/// Whether requests to one address of a broker fail fast, so that clients try another broker
/// instead of waiting for this one.
///
/// The circuit opens when several attempts to connect fail in a row, or when an established
/// connection has fallen silent; the failure of single requests proves nothing. While it is open,
/// Remora probes the broker ([`super::link`]); any answer, however late, closes the circuit.
#[derive(Debug)]
pub(crate) struct Breaker {
    peer: Peer,
    address: Arc<str>,
    metrics: Arc<BrokerMetrics>,
    /// Failed attempts to connect in a row after which the circuit opens.
    limit: u32,
    failures: Cell<u32>,
    open: Cell<bool>,
    abandoned: Cell<bool>,
    /// Whether a task probes the broker.
    asked: Cell<bool>,
    /// Notified when a connection has fallen silent.
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

    /// The broker's address.
    pub(super) fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Whether requests must fail fast.
    pub(super) fn is_open(&self) -> bool {
        self.open.get()
    }

    /// Records that a connection has fallen silent. The cause may be the connection or the broker,
    /// so no connection takes requests until the broker has answered over a new one. The silence of
    /// a connection that took no requests any more (`was_used` is false) does not count.
    pub(super) fn note_silence(&self, was_used: bool) {
        if was_used {
            self.open_for("a connection has fallen silent");
        }
        self.silence.notify_waiters();
    }

    /// Waits until `is_silent` is true; it is checked whenever a connection falls silent.
    pub(super) async fn until_silent(&self, is_silent: impl Fn() -> bool) {
        loop {
            let silence = self.silence.notified();
            if is_silent() {
                return;
            }
            silence.await;
        }
    }

    /// Whether the circuit is open and no task probes the broker yet. Then the caller must.
    pub(super) fn begin_asking(&self) -> bool {
        self.is_open() && !self.asked.replace(true)
    }

    /// Records that the caller does not probe any more.
    pub(super) fn end_asking(&self) {
        self.asked.set(false);
    }

    /// Records an answer.
    pub(super) fn succeeded(&self) {
        self.failures.set(0);
        if self.open.replace(false) {
            self.metrics.failing.add(-1);
            info!(peer = %self.peer, address = %self.address, "circuit closed: the broker answers again");
        }
    }

    /// Records an established connection.
    pub(super) fn connected(&self) {
        self.failures.set(0);
    }

    /// Records a failed attempt to connect; several in a row open the circuit.
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
        warn!(peer = %self.peer, address = %self.address, reason, "circuit opened: requests fail fast until the broker answers");
        self.metrics.failing.add(1);
    }

    /// Ends the probes: the broker is not registered any more.
    pub(super) fn abandon(&self) {
        self.abandoned.set(true);
        if self.open.replace(false) {
            self.metrics.failing.add(-1);
        }
    }
}
