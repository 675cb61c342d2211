//! A running proxy: its start, its signals, its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use anyhow::Context;
use messaging::metrics::Labels;
use remoting::Settings;
use remoting_transport::Pool;
use route_cache::{
    BrokerTable, Descriptors, NameServers, RouteCache, UpstreamConfig, name_servers,
};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::admin;
use crate::cgroup;
use crate::config::{Config, DrainConfig};
use crate::descriptors::{Shares, Spare};
use crate::entrance::Entrance;
use crate::listener::Acceptor;
use crate::listener_info::ListenerInfo;
use crate::metrics::{ProxyMetrics, WorkerMetrics};
use crate::overview::ProxyOverview;
use crate::reload::{LogFilter, Reloader};
use crate::signals::{Signal, Signals};
use crate::tls::Tls;
use crate::worker::Setup;
use crate::worker_handle::WorkerHandle;

/// How soon the list of brokers is requested again while no name server has returned it.
const FIRST_LOAD_PAUSE: Duration = Duration::from_millis(600);

/// How often the number of clients left in a drain is checked.
const DRAIN_CHECK: Duration = Duration::from_millis(20);

/// What a proxy has when its ports are bound.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) listeners: Vec<(TcpListener, ListenerInfo)>,
    pub(crate) admin: Option<TcpListener>,
    pub(crate) tls: Arc<Tls>,
    pub(crate) filter: LogFilter,
    pub(crate) reloader: Reloader,
}

/// A proxy that serves clients.
pub(crate) struct Running {
    drain: DrainConfig,
    filter: LogFilter,
    reloader: Reloader,
    tls: Arc<Tls>,
    workers: Arc<[WorkerHandle]>,
    overview: Arc<ProxyOverview>,
    /// The cgroup's limit of memory, in bytes.
    cgroup_memory: Option<u64>,
    /// One task for each listener, until clients are no longer accepted.
    accepting: Vec<JoinHandle<()>>,
    watching: JoinHandle<()>,
}

impl Running {
    /// Starts workers, then the admin listener, then accepting. Must be called on the proxy's
    /// runtime, which serves all but the clients.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts {
            config,
            listeners,
            admin,
            tls,
            filter,
            reloader,
        } = parts;
        let (descriptors, shares) = share_descriptors(&config, listeners.len());
        let cgroup_memory = cgroup::memory_limit();
        log_memory(&config.settings, cgroup_memory);
        let upstream = UpstreamConfig {
            tls: tls.to_servers(),
            descriptors: descriptors.clone(),
            ..config.upstream.clone()
        };
        let (name_servers, brokers) = start_name_servers(&config, &upstream);
        let routes = RouteCache::new(config.routes.clone(), brokers.clone(), name_servers.clone());
        let settings = within(&config.settings, cgroup_memory);
        let setup = Setup {
            upstream,
            held: Pool::new(settings.held_limit()),
            settings,
            limits: config.limits.clone(),
            connection_age: config.connection_age,
            addresses: Arc::default(),
            routes: routes.clone(),
            brokers,
            entrance: Entrance::new(&config, tls.to_clients()),
        };
        let refused = Arc::<AtomicU64>::default();
        let metrics = proxy_metrics(&config, &listeners, routes, refused.clone())?;
        let workers = start_workers(&setup, &metrics.workers)?;
        let overview = Arc::new(ProxyOverview::new(
            name_servers,
            config.effective.clone(),
            workers.clone(),
            tls.clone(),
            Arc::new(metrics),
        ));
        let watching = spawn_local(overview.clone().watch_progress());
        spawn_local(tls.clone().watch());
        let spare = Arc::new(Spare::new());
        if let Some(admin) = admin {
            info!(address = %admin.local_addr()?, "admin listener");
            let (overview, filter) = (overview.clone(), filter.clone());
            let serving = admin::serve(admin, shares.admin, spare.clone(), overview, filter);
            spawn_local(serving);
        }
        let acceptor = Acceptor {
            workers: workers.clone(),
            limit: config.limits.connections,
            refused,
            descriptors,
            spare,
        };
        let accepting = start_accepting(&acceptor, listeners)?;
        info!(
            version = env!("CARGO_PKG_VERSION"),
            workers = config.workers,
            "started"
        );
        Ok(Self {
            drain: config.drain,
            filter,
            reloader,
            tls,
            workers,
            overview,
            cgroup_memory,
            accepting,
            watching,
        })
    }

    /// Serves, and reloads on signals, until one asks to end; ends as it asks.
    pub(crate) async fn run(mut self, mut signals: impl Signals) {
        let end = loop {
            match signals.next().await {
                Signal::Reload => self.reload().await,
                end => break end,
            }
        };
        if end == Signal::Drain {
            self.overview.set_draining();
            tokio::select! {
                () = self.drain() => {}
                // A second signal ends the drain.
                () = another_end(&mut signals) => {}
            }
        }
        self.stop().await;
    }

    /// Reads changed certificates and the configuration again.
    async fn reload(&mut self) {
        self.tls.reload().await;
        let Some(new) = self.reloader.reload() else {
            return;
        };
        self.drain = new.drain;
        self.overview.set_config(new.effective.clone());
        if let Err(error) = self.filter.set(&new.log.filter) {
            warn!(%error, "cannot change the log's filter");
        }
        for worker in &*self.workers {
            let settings = within(&new.settings, self.cgroup_memory);
            let (limits, age) = (new.limits.clone(), new.connection_age);
            worker.tell(move |worker| worker.configure(settings, limits, age));
        }
    }

    /// Ends the connections of clients, until none is left or the deadline is over.
    async fn drain(&mut self) {
        let started = Instant::now();
        let drain = self.drain;
        info!(
            ?drain,
            "draining: readiness is down, clients are still accepted"
        );
        sleep(drain.wait).await;
        // One by one: a second signal may end this at any await, and the rest must not be lost.
        while let Some(task) = self.accepting.pop() {
            task.abort();
            let _ = task.await;
        }
        let workers = &self.workers;
        let count = || workers.iter().map(WorkerHandle::connections).sum::<usize>();
        info!(
            clients = count(),
            "draining: no client is accepted any more"
        );
        for worker in &**workers {
            worker.tell(move |worker| worker.drain(drain.time));
        }
        while count() > 0 {
            if started.elapsed() >= drain.deadline {
                warn!(clients = count(), "drain deadline exceeded");
                return;
            }
            sleep(DRAIN_CHECK).await;
        }
    }

    /// Ends everything; answers that are ready are still written.
    async fn stop(self) {
        info!("stopping");
        for task in self.accepting.into_iter().chain([self.watching]) {
            task.abort();
            // Aborted, it gives back what it holds of the workers.
            let _ = task.await;
        }
        // All are ordered to stop before the first is waited for.
        for worker in &*self.workers {
            worker.stop();
        }
        for worker in &*self.workers {
            worker.join();
        }
        info!("stopped");
    }
}

async fn another_end(signals: &mut impl Signals) {
    while signals.next().await == Signal::Reload {}
}

/// Starts the clients of the name servers, and loading the list of brokers.
fn start_name_servers(
    config: &Config,
    upstream: &UpstreamConfig,
) -> (NameServers, Arc<BrokerTable>) {
    let addresses = config.name_servers.iter().map(ToString::to_string);
    let (name_servers, client) = name_servers(addresses.collect(), upstream.clone());
    spawn_local(client.run());
    let brokers = Arc::new(BrokerTable::new(name_servers.clone()));
    let period = config.routes.broker_refresh;
    tokio::spawn(keep_brokers_loaded(brokers.clone(), period));
    (name_servers, brokers)
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

fn proxy_metrics(
    config: &Config,
    listeners: &[(TcpListener, ListenerInfo)],
    routes: RouteCache,
    refused_connections: Arc<AtomicU64>,
) -> anyhow::Result<ProxyMetrics> {
    let topics = Arc::new(Labels::of_topics(&config.metrics.topics));
    let groups = Arc::new(Labels::of_groups(&config.metrics.groups));
    let addresses = listeners
        .iter()
        .map(|(listener, _)| Ok(listener.local_addr()?.to_string()))
        .collect::<std::io::Result<Vec<_>>>()?;
    let worker = || Arc::new(WorkerMetrics::new(&topics, &groups, listeners.len()));
    let workers = (0..config.workers).map(|_| worker()).collect();
    Ok(ProxyMetrics {
        labels: config.metrics.clone(),
        groups,
        workers,
        listeners: addresses,
        routes,
        refused_connections,
        draining: AtomicBool::new(false),
    })
}

fn start_workers(
    setup: &Setup,
    metrics: &[Arc<WorkerMetrics>],
) -> anyhow::Result<Arc<[WorkerHandle]>> {
    metrics
        .iter()
        .enumerate()
        .map(|(number, metrics)| WorkerHandle::start(number, setup.clone(), metrics.clone()))
        .collect::<Result<_, _>>()
        .context("cannot start a worker")
}

/// Starts a task for each listener.
fn start_accepting(
    acceptor: &Acceptor,
    listeners: Vec<(TcpListener, ListenerInfo)>,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    // Port 0 may be configured; the sockets have the real ports.
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
        accepting.push(spawn_local(accept));
    }
    Ok(accepting)
}

/// Shares out the descriptors, and logs it if that leaves fewer for clients than the configuration.
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

/// Logs it if the cgroup allows less memory than the configuration.
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
