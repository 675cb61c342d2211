//! What a worker counts, and the text that `/metrics` answers.

mod exposition;
mod identities;
mod process;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use remoting::metrics::{Labels, RequestMetrics};
use remoting_transport::metrics::{Counter, Gauge, Meter};
use route_cache::RouteCache;
use route_cache::metrics::UpstreamMetrics;

use crate::config::MetricLabels;

pub(crate) use exposition::{Report, Scrape, expose};

/// What a worker counts.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    pub(crate) requests: Arc<RequestMetrics>,
    pub(crate) upstream: Arc<UpstreamMetrics>,
    /// Bytes that connections make the worker hold.
    pub(crate) held: Gauge,
    listeners: Box<[ListenerMetrics]>,
}

/// Traffic and connections of one listener.
#[derive(Debug, Default)]
pub(crate) struct ListenerMetrics {
    pub(crate) meter: Arc<Meter>,
    /// Connections that were taken.
    pub(crate) opened: Counter,
}

impl WorkerMetrics {
    pub(crate) fn new(topics: &Arc<Labels>, groups: &Arc<Labels>, listeners: usize) -> Self {
        Self {
            requests: Arc::new(RequestMetrics::new(topics.clone(), groups.clone())),
            upstream: Arc::default(),
            held: Gauge::default(),
            listeners: (0..listeners).map(|_| ListenerMetrics::default()).collect(),
        }
    }

    /// Those of the listener at that place.
    pub(crate) fn listener(&self, number: usize) -> Option<&ListenerMetrics> {
        self.listeners.get(number)
    }
}

/// What is known of the whole proxy.
#[derive(Debug)]
pub(crate) struct ProxyMetrics {
    pub(crate) labels: MetricLabels,
    pub(crate) groups: Arc<Labels>,
    pub(crate) workers: Vec<Arc<WorkerMetrics>>,
    /// Where listeners listen, by number.
    pub(crate) listeners: Vec<String>,
    pub(crate) routes: RouteCache,
    /// Connections that were closed immediately because there were too many.
    pub(crate) refused_connections: Arc<AtomicU64>,
    pub(crate) draining: AtomicBool,
}
