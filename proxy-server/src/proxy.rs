//! The proxy as a whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use remoting::Settings;
use remoting::metrics::Labels;
use remoting_transport::Pool;
use route_cache::{
    BrokerTable, Descriptors, NameServers, RouteCache, UpstreamConfig, name_servers,
};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::admin::{self, Overview};
use crate::args::Args;
use crate::cgroup;
use crate::config::{BrokerListenerConfig, Config, DrainConfig, ListenerConfig};
use crate::descriptors::{Shares, Spare};
use crate::entrance::Entrance;
use crate::listener::{self, Acceptor};
use crate::listener_info::ListenerInfo;
use crate::metrics::{ProxyMetrics, Report, Scrape, WorkerMetrics, expose};
use crate::reload::{LogFilter, Reloader};
use crate::tls::Tls;
use crate::worker::Setup;
use crate::worker_handle::WorkerHandle;

/// How soon the list of brokers is asked for again while no name server has given it.
const FIRST_LOAD_PAUSE: Duration = Duration::from_millis(600);

/// How often the workers' progress is checked.
const PROGRESS_CHECK: Duration = Duration::from_secs(1);

/// A worker that has not made a step for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// How often the number of clients left in a drain is checked.
const DRAIN_CHECK: Duration = Duration::from_millis(20);

/// How long a worker may take to list its clients.
const SUMMARY_TIME: Duration = Duration::from_secs(1);

/// A proxy that listens; clients that connect wait until it runs.
#[derive(Debug)]
pub struct Proxy {
    config: Config,
    runtime: LocalRuntime,
    listeners: Vec<(TcpListener, ListenerInfo)>,
    admin: Option<TcpListener>,
    tls: Arc<Tls>,
}

/// Whether what the configuration names is there and can be used.
///
/// # Errors
/// Names what cannot.
pub fn check(config: &Config) -> anyhow::Result<()> {
    Tls::load(config)?;
    Ok(())
}

impl Proxy {
    /// Reads every certificate and binds every port.
    ///
    /// # Errors
    /// When one cannot be used, is taken or may not be had.
    pub fn bind(config: Config) -> anyhow::Result<Self> {
        let tls = Arc::new(Tls::load(&config)?);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .context("cannot start the runtime")?;
        let bind = |address: SocketAddr| {
            listener::bind(address).with_context(|| format!("cannot listen on {address}"))
        };
        let (listeners, admin) = runtime.block_on(async {
            let mut listeners = Vec::new();
            for (at, info) in listener_infos(&config) {
                listeners.push((bind(at)?, info));
            }
            anyhow::Ok((listeners, config.admin.map(bind).transpose()?))
        })?;
        Ok(Self {
            config,
            runtime,
            listeners,
            admin,
            tls,
        })
    }

    /// Where clients connect, in the order of the configuration; single brokers' listeners come last.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        let listeners = self.listeners.iter();
        listeners
            .map(|(listener, _)| listener.local_addr())
            .collect()
    }

    /// Where the admin listener is, if there is one.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
            .as_ref()
            .and_then(|admin| admin.local_addr().ok())
    }

    /// Serves until `signals` says that it is to end, and does what else that says. `signals` is called first of all, on the
    /// proxy's runtime; what it returns is asked for the next signal again and again.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn run<S: Signals>(
        self,
        args: Args,
        filter: LogFilter,
        signals: impl FnOnce() -> S,
    ) -> anyhow::Result<()> {
        let runtime = self.runtime;
        let parts = Parts {
            reloader: Reloader::new(args, self.config.clone()),
            config: self.config,
            listeners: self.listeners,
            admin: self.admin,
            tls: self.tls,
            filter,
        };
        runtime.block_on(async { serve(parts, signals()).await })
    }
}

/// What a running proxy is told from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// End, and lose no request: SIGTERM.
    Drain,
    /// End now: SIGINT.
    Stop,
    /// Read the configuration again: SIGHUP.
    Reload,
}

/// Where signals come from.
pub trait Signals {
    /// The next one.
    fn next(&mut self) -> impl Future<Output = Signal>;
}

struct Parts {
    config: Config,
    listeners: Vec<(TcpListener, ListenerInfo)>,
    admin: Option<TcpListener>,
    tls: Arc<Tls>,
    filter: LogFilter,
    reloader: Reloader,
}

async fn serve(parts: Parts, mut signals: impl Signals) -> anyhow::Result<()> {
    let Parts {
        config,
        listeners,
        admin,
        tls,
        filter,
        mut reloader,
    } = parts;
    let (descriptors, shares) = share_descriptors(&config, listeners.len());
    let memory = cgroup::memory_limit();
    log_memory(&config.settings, memory);
    let upstream = UpstreamConfig {
        tls: tls.to_servers(),
        descriptors: descriptors.clone(),
        ..config.upstream.clone()
    };
    let addresses = config
        .name_servers
        .iter()
        .map(ToString::to_string)
        .collect();
    let (name_servers, client) = name_servers(addresses, upstream.clone());
    tokio::task::spawn_local(client.run());
    let brokers = Arc::new(BrokerTable::new(name_servers.clone()));
    tokio::spawn(keep_brokers_loaded(
        brokers.clone(),
        config.routes.broker_refresh,
    ));
    let routes = RouteCache::new(config.routes.clone(), brokers.clone(), name_servers.clone());
    let setup = Setup {
        upstream,
        held: Pool::new(within(&config.settings, memory).held_limit()),
        settings: within(&config.settings, memory),
        limits: config.limits.clone(),
        connection_age: config.connection_age,
        addresses: Arc::default(),
        routes: routes.clone(),
        brokers,
        entrance: Entrance::new(&config, tls.to_clients()),
    };
    let topics = Arc::new(Labels::of_topics(&config.metrics.topics));
    let groups = Arc::new(Labels::of_groups(&config.metrics.groups));
    let metrics = (0..config.workers)
        .map(|_| Arc::new(WorkerMetrics::new(&topics, &groups, listeners.len())))
        .collect::<Vec<_>>();
    let workers = metrics
        .iter()
        .enumerate()
        .map(|(number, metrics)| WorkerHandle::start(number, setup.clone(), metrics.clone()))
        .collect::<Result<Arc<[_]>, _>>()
        .context("cannot start a worker")?;
    let listening = listeners
        .iter()
        .map(|(listener, _)| Ok(listener.local_addr()?.to_string()))
        .collect::<std::io::Result<Vec<_>>>()?;
    let refused = Arc::<AtomicU64>::default();
    let overview = Arc::new(ProxyOverview {
        name_servers,
        stuck: AtomicBool::new(false),
        effective: Mutex::new(config.effective.clone()),
        workers: workers.clone(),
        tls: tls.clone(),
        metrics: Arc::new(ProxyMetrics {
            labels: config.metrics.clone(),
            groups,
            workers: metrics,
            listeners: listening,
            routes,
            refused_connections: refused.clone(),
            draining: AtomicBool::new(false),
        }),
    });
    let watching = watch_progress(workers.clone(), overview.clone());
    let watching = tokio::task::spawn_local(watching);
    tokio::task::spawn_local(tls.clone().watch());
    let spare = Arc::new(Spare::new());
    if let Some(admin) = admin {
        info!(address = %admin.local_addr()?, "admin listener");
        let (overview, filter) = (overview.clone(), filter.clone());
        let serving = admin::serve(admin, shares.admin, spare.clone(), overview, filter);
        tokio::task::spawn_local(serving);
    }
    let acceptor = Acceptor {
        workers: workers.clone(),
        limit: config.limits.connections,
        refused,
        descriptors: descriptors.clone(),
        spare,
    };
    // Port 0 may be configured: now it is known which that is.
    let first = listeners.first();
    let first_port = first.map_or(Ok(0), |(first, _)| first.local_addr().map(|at| at.port()))?;
    let mut accepting = Vec::new();
    for (number, (listener, mut info)) in listeners.into_iter().enumerate() {
        let address = listener.local_addr()?;
        info.port = address.port();
        if info.shared_port == 0 {
            info.shared_port = match info.broker {
                None => info.port,
                Some(_) => first_port,
            };
        }
        info.number = number;
        let advertised = info.advertise.as_deref().unwrap_or("where they connect");
        info!(%address, advertised, broker = info.broker.as_deref(), "listening for clients");
        let accept = acceptor.clone().run(listener, Arc::new(info));
        accepting.push(tokio::task::spawn_local(accept));
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        workers = config.workers,
        "started"
    );
    let mut drain = config.drain;
    let signal = loop {
        match signals.next().await {
            Signal::Reload => {
                // Whoever says so does not have to wait until files have come to rest.
                tls.scan_now().await;
                tls.scan_now().await;
                if let Some(new) = reloader.reload() {
                    drain = new.drain;
                    new.effective.clone_into(&mut overview.effective.lock());
                    if let Err(error) = filter.set(&new.log.filter) {
                        warn!(%error, "the log's filter stays as it is");
                    }
                    for worker in &*workers {
                        let settings = within(&new.settings, memory);
                        let (limits, age) = (new.limits.clone(), new.connection_age);
                        worker.tell(move |worker| worker.configure(settings, limits, age));
                    }
                }
            }
            end => break end,
        }
    };
    if signal == Signal::Drain {
        overview.metrics.draining.store(true, Ordering::Relaxed);
        tokio::select! {
            () = draining(&drain, &workers, &mut accepting) => {}
            // Whoever says it twice does not want to wait.
            () = another_end(&mut signals) => {}
        }
    }
    info!("stopping");
    accepting.push(watching);
    for task in accepting {
        task.abort();
        // Aborted, it gives back what it holds of the workers.
        let _ = task.await;
    }
    // All are told to stop before the first is waited for.
    for worker in &*workers {
        worker.stop();
    }
    for worker in &*workers {
        worker.join();
    }
    info!("stopped");
    Ok(())
}

/// Shares out the descriptors, and says it if that leaves fewer for clients than the configuration.
fn share_descriptors(config: &Config, listeners: usize) -> (Arc<Descriptors>, Shares) {
    let shares = Shares::of_process(config.workers, listeners);
    let descriptors = Descriptors::new(shares.pool, shares.shared);
    let wanted = config.limits.connections;
    if descriptors.clients_with_lanes() < wanted {
        info!(
            open_files = shares.limit,
            clients = descriptors.clients_with_lanes(),
            clients_at_most = descriptors.clients_limit(),
            wanted,
            "the limit of open files leaves room for fewer clients than limits.connections, each with connections to two brokers: raise it (ulimit -n, LimitNOFILE), or lower the key"
        );
    }
    (Arc::new(descriptors), shares)
}

/// Says it if the cgroup allows less memory than the configuration.
fn log_memory(settings: &Settings, cgroup: Option<u64>) {
    let memory = cgroup::within(settings.memory_limit, cgroup);
    if memory < settings.memory_limit {
        info!(
            cgroup,
            memory, "the cgroup's limit of memory leaves less than limits.memory_bytes"
        );
    }
}

/// The settings with as much memory as the cgroup allows.
fn within(settings: &Settings, cgroup: Option<u64>) -> Settings {
    Settings {
        memory_limit: cgroup::within(settings.memory_limit, cgroup),
        ..settings.clone()
    }
}

/// Has clients go, until all have or the time is up.
async fn draining(
    drain: &DrainConfig,
    workers: &[WorkerHandle],
    accepting: &mut Vec<tokio::task::JoinHandle<()>>,
) {
    let begun = Instant::now();
    info!(
        ?drain,
        "draining: readiness is down, clients are still accepted"
    );
    sleep(drain.wait).await;
    for task in accepting.drain(..) {
        task.abort();
        let _ = task.await;
    }
    let count = || workers.iter().map(WorkerHandle::connections).sum::<usize>();
    info!(
        clients = count(),
        "draining: no client is accepted any more"
    );
    let time = drain.time;
    for worker in workers {
        worker.tell(move |worker| worker.drain(time));
    }
    while count() > 0 {
        if begun.elapsed() >= drain.deadline {
            warn!(clients = count(), "the drain's deadline is over");
            return;
        }
        sleep(DRAIN_CHECK).await;
    }
}

async fn another_end(signals: &mut impl Signals) {
    while signals.next().await == Signal::Reload {}
}

/// The addresses to listen at.
fn listener_infos(config: &Config) -> Vec<(SocketAddr, ListenerInfo)> {
    let brokers: Arc<[_]> = config.broker_listeners.clone().into();
    let info = |listener: &ListenerConfig, own: Option<&BrokerListenerConfig>| ListenerInfo {
        advertise: listener.advertise.as_ref().map(|at| Arc::from(at.as_str())),
        brokers: brokers.clone(),
        shared_port: listener.bind.port(),
        broker: own.map(|own| Arc::from(own.broker.as_str())),
        // Both are known later.
        number: 0,
        port: 0,
        balanced: own.map_or(listener.proxy_protocol, |own| own.proxy_protocol),
        known: Mutex::default(),
    };
    let mut all = Vec::new();
    for listener in &config.listeners {
        let at = std::iter::once(listener.bind).chain(listener.vip);
        all.extend(at.map(|at| (at, info(listener, None))));
    }
    // A route asked for at a broker's listener names the first shared one for other brokers.
    if let Some(first) = config.listeners.first() {
        for listener in &config.broker_listeners {
            let at = std::iter::once(listener.bind).chain(listener.vip);
            all.extend(at.map(|at| (at, info(first, Some(listener)))));
        }
    }
    all
}

async fn keep_brokers_loaded(brokers: Arc<BrokerTable>, period: Duration) {
    loop {
        match brokers.load().await {
            Ok(()) => sleep(period).await,
            Err(error) => {
                debug!(%error, "the list of brokers cannot be loaded");
                sleep(FIRST_LOAD_PAUSE).await;
            }
        }
    }
}

/// Notes whether a worker has stopped making progress.
async fn watch_progress(workers: Arc<[WorkerHandle]>, health: Arc<ProxyOverview>) {
    let mut seen: Vec<_> = workers
        .iter()
        .map(|w| (w.ticks(), Instant::now()))
        .collect();
    loop {
        sleep(PROGRESS_CHECK).await;
        let mut stuck = false;
        for (worker, (ticks, since)) in workers.iter().zip(&mut seen) {
            let now = worker.ticks();
            if now != *ticks {
                (*ticks, *since) = (now, Instant::now());
            }
            stuck |= since.elapsed() > STUCK_AFTER;
        }
        health.stuck.store(stuck, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct ProxyOverview {
    name_servers: NameServers,
    stuck: AtomicBool,
    effective: Mutex<String>,
    workers: Arc<[WorkerHandle]>,
    tls: Arc<Tls>,
    metrics: Arc<ProxyMetrics>,
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
        self.effective.lock().clone()
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
