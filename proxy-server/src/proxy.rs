//! The proxy as a whole.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use route_cache::{BrokerTable, NameServers, RouteCache, name_servers};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::time::{Instant, sleep};
use tracing::{debug, info};

use crate::admin::{self, Health};
use crate::config::{Config, ListenerConfig};
use crate::listener::{self, Door};
use crate::worker::{Setup, WorkerHandle};

/// How soon the list of brokers is asked for again while no name server has given it.
const FIRST_LOAD_PAUSE: Duration = Duration::from_millis(600);

/// How often it is looked at whether workers make progress.
const PROGRESS_CHECK: Duration = Duration::from_secs(1);

/// A worker that has not made a step for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// A proxy that listens; clients that connect wait until it runs.
#[derive(Debug)]
pub struct Proxy {
    config: Config,
    runtime: LocalRuntime,
    listeners: Vec<(TcpListener, Door)>,
    admin: Option<TcpListener>,
}

impl Proxy {
    /// Binds every port.
    ///
    /// # Errors
    /// When one is taken or may not be had.
    pub fn bind(config: Config) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .context("cannot start the runtime")?;
        let bind = |address: SocketAddr| {
            listener::bind(address).with_context(|| format!("cannot listen on {address}"))
        };
        let (listeners, admin) = runtime.block_on(async {
            let mut listeners = Vec::new();
            for (at, door) in doors(&config) {
                listeners.push((bind(at)?, door));
            }
            anyhow::Ok((listeners, config.admin.map(bind).transpose()?))
        })?;
        Ok(Self {
            config,
            runtime,
            listeners,
            admin,
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

    /// Serves until what `stop` returns is ready, then ends in an orderly way. `stop` is called first of
    /// all, on the proxy's runtime.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn run<F>(self, stop: impl FnOnce() -> F) -> anyhow::Result<()>
    where
        F: Future<Output = ()>,
    {
        let Self {
            config,
            runtime,
            listeners,
            admin,
        } = self;
        runtime.block_on(async { serve(config, listeners, admin, stop()).await })
    }
}

async fn serve(
    config: Config,
    listeners: Vec<(TcpListener, Door)>,
    admin: Option<TcpListener>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let addresses = config
        .name_servers
        .iter()
        .map(ToString::to_string)
        .collect();
    let (name_servers, client) = name_servers(addresses, config.upstream.clone());
    tokio::task::spawn_local(client.run());
    let brokers = Arc::new(BrokerTable::new(name_servers.clone()));
    tokio::spawn(keep_brokers_loaded(
        brokers.clone(),
        config.routes.broker_refresh,
    ));
    let setup = Setup {
        upstream: config.upstream.clone(),
        settings: config.settings.clone(),
        routes: RouteCache::new(config.routes.clone(), brokers.clone(), name_servers.clone()),
        brokers,
    };
    let workers = (0..config.workers)
        .map(|number| WorkerHandle::start(number, setup.clone()))
        .collect::<Result<Rc<[_]>, _>>()
        .context("cannot start a worker")?;
    let health = Arc::new(ProxyHealth {
        name_servers,
        stuck: AtomicBool::new(false),
    });
    let mut tasks = vec![tokio::task::spawn_local(watch_progress(
        workers.clone(),
        health.clone(),
    ))];
    if let Some(admin) = admin {
        info!(address = %admin.local_addr()?, "admin listener");
        tokio::task::spawn_local(admin::serve(admin, health));
    }
    for (listener, mut door) in listeners {
        let address = listener.local_addr()?;
        // Port 0 was configured: now it is known which that is.
        if door.broker.is_none() {
            door.shared_port = address.port();
        }
        let advertised = door.advertise.as_deref().unwrap_or("where they connect");
        info!(%address, advertised, broker = door.broker.as_deref(), "listening for clients");
        let accepting = listener::accept(listener, door, workers.clone());
        tasks.push(tokio::task::spawn_local(accepting));
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        workers = config.workers,
        "started"
    );
    stop.await;
    info!("stopping");
    for task in tasks {
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

/// Where to listen, and what clients there get to know.
fn doors(config: &Config) -> Vec<(SocketAddr, Door)> {
    let brokers: Arc<[_]> = config.broker_listeners.clone().into();
    let door = |listener: &ListenerConfig, broker: Option<&str>| Door {
        advertise: listener.advertise.as_ref().map(|at| Arc::from(at.as_str())),
        brokers: brokers.clone(),
        shared_port: listener.bind.port(),
        broker: broker.map(Arc::from),
    };
    let shared = config.listeners.iter();
    let mut doors: Vec<_> = shared.map(|l| (l.bind, door(l, None))).collect();
    // A route asked for at a broker's listener names the first shared one for other brokers.
    if let Some(first) = config.listeners.first() {
        for listener in &config.broker_listeners {
            let at = std::iter::once(listener.bind).chain(listener.vip);
            doors.extend(at.map(|at| (at, door(first, Some(&listener.broker)))));
        }
    }
    doors
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
async fn watch_progress(workers: Rc<[WorkerHandle]>, health: Arc<ProxyHealth>) {
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
struct ProxyHealth {
    name_servers: NameServers,
    stuck: AtomicBool,
}

impl Health for ProxyHealth {
    fn stuck(&self) -> Option<&'static str> {
        let stuck = self.stuck.load(Ordering::Relaxed);
        stuck.then_some("a worker does not make progress\n")
    }

    fn not_ready(&self) -> Option<&'static str> {
        (!self.name_servers.have_answered()).then_some("no name server has answered yet\n")
    }
}
