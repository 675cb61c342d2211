//! What a worker counts, and the text that `/metrics` answers.

mod exposition;
mod identities;
mod process;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use grpc::metrics::GrpcMetrics;
use http_api::metrics::HttpMetrics;
use messaging::metrics::{Labels, TopicMetrics};
use remoting::metrics::RequestMetrics;
use remoting_transport::metrics::{Counter, Gauge, Meter};
use route_cache::RouteCache;
use route_cache::metrics::UpstreamMetrics;

use crate::config::MetricLabels;

pub(crate) use exposition::{Report, Scrape, expose};

/// The counters of one worker, which scrapes add up.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    pub(crate) requests: Arc<RequestMetrics>,
    /// Messages of the clients of all protocols.
    pub(crate) messages: Arc<TopicMetrics>,
    pub(crate) upstream: Arc<UpstreamMetrics>,
    pub(crate) grpc: Arc<GrpcMetrics>,
    /// Of requests of HTTP that are none of gRPC.
    pub(crate) api: Arc<HttpMetrics>,
    /// Of all connections of HTTP, gRPC's among them.
    pub(crate) http: Arc<http_server::Metrics>,
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
        let messages = Arc::new(TopicMetrics::new(topics.clone(), groups.clone()));
        Self {
            requests: Arc::new(RequestMetrics::new(messages.clone())),
            upstream: Arc::default(),
            grpc: Arc::new(GrpcMetrics::new(messages.clone())),
            api: Arc::new(HttpMetrics::new(messages.clone())),
            http: Arc::default(),
            messages,
            held: Gauge::default(),
            listeners: (0..listeners).map(|_| ListenerMetrics::default()).collect(),
        }
    }

    /// The metrics of the listener with that index; `None` if there is none.
    pub(crate) fn listener(&self, number: usize) -> Option<&ListenerMetrics> {
        self.listeners.get(number)
    }
}

/// The metrics of all workers, and what else a scrape shows of the proxy.
#[derive(Debug)]
pub(crate) struct ProxyMetrics {
    pub(crate) labels: MetricLabels,
    pub(crate) groups: Arc<Labels>,
    pub(crate) workers: Vec<Arc<WorkerMetrics>>,
    /// The address of each listener, by its index; the value of the label `listener`.
    pub(crate) listeners: Vec<String>,
    pub(crate) routes: RouteCache,
    /// Connections that were closed immediately because there were too many.
    pub(crate) refused_connections: Arc<AtomicU64>,
    pub(crate) draining: AtomicBool,
}
