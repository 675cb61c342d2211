//! The state of the proxy as the admin listener shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use route_cache::NameServers;
use tokio::time::{Instant, sleep, timeout};

use crate::admin::Overview;
use crate::metrics::{ProxyMetrics, Report, Scrape, expose};
use crate::tls::Tls;
use crate::worker_handle::WorkerHandle;

/// How often the workers' progress is checked.
const PROGRESS_CHECK: Duration = Duration::from_secs(1);

/// A worker that has not made a step for this long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// How long a worker may take to list its clients.
const SUMMARY_TIME: Duration = Duration::from_secs(1);

/// Answers probes, scrapes and `/config`.
#[derive(Debug)]
pub(crate) struct ProxyOverview {
    name_servers: NameServers,
    /// Whether a worker makes no progress.
    stuck: AtomicBool,
    /// The configuration in effect, in TOML, which `/config` returns.
    config: Mutex<String>,
    workers: Arc<[WorkerHandle]>,
    tls: Arc<Tls>,
    metrics: Arc<ProxyMetrics>,
}

impl ProxyOverview {
    pub(crate) fn new(
        name_servers: NameServers,
        config: String,
        workers: Arc<[WorkerHandle]>,
        tls: Arc<Tls>,
        metrics: Arc<ProxyMetrics>,
    ) -> Self {
        Self {
            name_servers,
            stuck: AtomicBool::new(false),
            config: Mutex::new(config),
            workers,
            tls,
            metrics,
        }
    }

    /// Replaces the text that `/config` returns, after a reload.
    pub(crate) fn set_config(&self, text: String) {
        *self.config.lock() = text;
    }

    /// Makes `/readyz` fail from now on.
    pub(crate) fn set_draining(&self) {
        self.metrics.draining.store(true, Ordering::Relaxed);
    }

    /// Notes whether a worker has stopped making progress; for ever.
    pub(crate) async fn watch_progress(self: Arc<Self>) {
        let workers = self.workers.iter();
        let mut seen: Vec<_> = workers.map(|w| (w.ticks(), Instant::now())).collect();
        loop {
            sleep(PROGRESS_CHECK).await;
            let mut stuck = false;
            for (worker, (ticks, since)) in self.workers.iter().zip(&mut seen) {
                let now = worker.ticks();
                if now != *ticks {
                    (*ticks, *since) = (now, Instant::now());
                }
                stuck |= since.elapsed() > STUCK_AFTER;
            }
            self.stuck.store(stuck, Ordering::Relaxed);
        }
    }
}

impl Overview for ProxyOverview {
    fn stuck(&self) -> Option<&'static str> {
        let stuck = self.stuck.load(Ordering::Relaxed);
        stuck.then_some("a worker does not make progress\n")
    }

    fn not_ready(&self) -> Option<&'static str> {
        if self.metrics.draining.load(Ordering::Relaxed) {
            return Some("draining\n");
        }
        (!self.name_servers.have_answered()).then_some("no name server has answered yet\n")
    }

    fn config(&self) -> String {
        self.config.lock().clone()
    }

    async fn metrics(&self, open_metrics: bool) -> Option<String> {
        let workers = self.workers.iter();
        let asked: Vec<_> = workers
            .map(|worker| worker.ask(|worker| worker.summaries()))
            .collect();
        let mut clients = Vec::new();
        for summaries in asked {
            // A worker that is stuck answers without clients; its counters are there all the same.
            if let Ok(Ok(summaries)) = timeout(SUMMARY_TIME, summaries).await {
                clients.extend(summaries);
            }
        }
        let report = Report {
            clients,
            certificates: self.tls.expiries(),
            reload_errors: self.tls.reload_errors(),
        };
        let proxy = self.metrics.clone();
        expose(Scrape { proxy, report }, open_metrics).ok()
    }
}
