//! What a worker counts of brokers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use remoting_transport::metrics::{Counter, Gauge, Histogram, Meter};

/// What one worker knows of one broker.
#[derive(Debug)]
pub struct BrokerMetrics {
    /// Of data connections.
    pub data: Arc<Meter>,
    /// Of lanes.
    pub lane: Arc<Meter>,
    /// From sending a request to its answer.
    pub answered: Histogram,
    /// Data connections that are established.
    pub connections: Gauge,
    /// Lanes that are established.
    pub lanes: Gauge,
    /// Requests without an answer yet.
    pub outstanding: Gauge,
    /// Connections that were lost or did not come about; each is made again when it is needed.
    pub reconnects: Counter,
    /// 1 while requests to it are refused at once.
    pub failing: Gauge,
    /// Requests that were refused because too many were outstanding, or too much waited to be written.
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

/// What one worker knows of all brokers.
#[derive(Debug, Default)]
pub struct UpstreamMetrics {
    brokers: Mutex<HashMap<Box<str>, Arc<BrokerMetrics>>>,
}

impl UpstreamMetrics {
    /// Those of one broker, to be kept by whoever writes them.
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

    /// Those of all brokers that were ever spoken to, added to what other workers have.
    pub fn collect(&self, all: &mut BTreeMap<Box<str>, Vec<Arc<BrokerMetrics>>>) {
        for (name, metrics) in &*self.brokers.lock() {
            all.entry(name.clone()).or_default().push(metrics.clone());
        }
    }
}
