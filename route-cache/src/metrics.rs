//! A worker's metrics of brokers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use remoting_transport::metrics::{Counter, Gauge, Histogram, Meter};

/// One worker's metrics of one broker.
#[derive(Debug)]
pub struct BrokerMetrics {
    /// Traffic of data connections, which all clients of the worker share.
    pub data: Arc<Meter>,
    /// Traffic of lanes, each of which belongs to one client.
    pub lane: Arc<Meter>,
    /// The time from sending a request to its answer.
    pub answered: Histogram,
    /// Data connections that are established.
    pub connections: Gauge,
    /// Lanes that are established.
    pub lanes: Gauge,
    /// Requests without an answer yet.
    pub outstanding: Gauge,
    /// Connections that were lost or could not be established; each is opened again when it is
    /// needed.
    pub reconnects: Counter,
    /// 1 while requests to it fail fast.
    pub failing: Gauge,
    /// Requests that were refused because too many were outstanding, or too many bytes waited to be
    /// written.
    pub refused: Counter,
}

impl Default for BrokerMetrics {
    fn default() -> Self {
        Self {
            data: Arc::default(),
            lane: Arc::default(),
            answered: Histogram::of_durations(),
            connections: Gauge::default(),
            lanes: Gauge::default(),
            outstanding: Gauge::default(),
            reconnects: Counter::default(),
            failing: Gauge::default(),
            refused: Counter::default(),
        }
    }
}

/// One worker's metrics of all brokers.
#[derive(Debug, Default)]
pub struct UpstreamMetrics {
    brokers: Mutex<HashMap<Box<str>, Arc<BrokerMetrics>>>,
}

impl UpstreamMetrics {
    /// The metrics of one broker. Callers keep them, to avoid look-ups.
    #[must_use]
    pub fn broker(&self, name: &str) -> Arc<BrokerMetrics> {
        let mut brokers = self.brokers.lock();
        if let Some(known) = brokers.get(name) {
            return known.clone();
        }
        let new = Arc::<BrokerMetrics>::default();
        brokers.insert(name.into(), new.clone());
        new
    }

    /// Adds the metrics of all brokers that were ever used to those of other workers.
    pub fn collect(&self, all: &mut BTreeMap<Box<str>, Vec<Arc<BrokerMetrics>>>) {
        for (name, metrics) in &*self.brokers.lock() {
            all.entry(name.clone()).or_default().push(metrics.clone());
        }
    }
}
