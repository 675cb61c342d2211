//! A worker: a thread that serves its share of the clients.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use processors::{Session, Settings};
use route_cache::transport::Buffers;
use route_cache::{Advertised, BrokerTable, RouteCache, TICK, Upstream, UpstreamConfig};
use slab::Slab;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};
use tracing::warn;

use crate::connection;

/// Accepted clients that may wait for a worker to take them.
const QUEUE: usize = 256;

/// How often it is looked for clients that are silent.
const IDLE_CHECK: Duration = Duration::from_secs(10);

/// Looks without a sign of life after which a client is given up: 120 s, as brokers do. Clients that
/// are there say something every 30 s; one whose host has vanished would otherwise stay a member of
/// its groups for ever.
const IDLE_CHECKS_MAX: u32 = 12;

/// How long answers that are ready may take to leave when the proxy stops.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// What a worker needs to begin.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) upstream: UpstreamConfig,
    pub(crate) settings: Settings,
    pub(crate) brokers: Arc<BrokerTable>,
    pub(crate) routes: RouteCache,
}

/// A client that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) advertised: Arc<Advertised>,
    pub(crate) broker: Option<Arc<str>>,
}

/// A worker, seen from other threads.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    clients: mpsc::Sender<Accepted>,
    state: Arc<State>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    connections: AtomicUsize,
    ticks: AtomicU64,
    stopping: Notify,
}

impl WorkerHandle {
    /// Starts a worker.
    pub(crate) fn start(number: usize, setup: Setup) -> io::Result<Self> {
        let (clients, accepted) = mpsc::channel(QUEUE);
        let state = Arc::new(State::default());
        let for_worker = state.clone();
        let thread = thread::Builder::new()
            .name(format!("remora-{number}"))
            .spawn(move || {
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default());
                match runtime {
                    Ok(runtime) => runtime.block_on(run(accepted, setup, for_worker)),
                    Err(error) => warn!(%error, "a worker cannot start"),
                }
            })?;
        Ok(Self {
            clients,
            state,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// How many clients it has.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Counts up as long as the worker makes progress.
    pub(crate) fn ticks(&self) -> u64 {
        self.state.ticks.load(Ordering::Relaxed)
    }

    /// Gives it a client.
    pub(crate) async fn send(&self, client: Accepted) {
        self.state.connections.fetch_add(1, Ordering::Relaxed);
        if self.clients.send(client).await.is_err() {
            self.state.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Tells it to end: its clients' lanes are closed, then their connections.
    pub(crate) fn stop(&self) {
        self.state.stopping.notify_one();
    }

    /// Blocks until it has ended.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            warn!("a worker ended badly");
        }
    }
}

type Sessions = Rc<RefCell<Slab<Watched>>>;

/// A client, and when it was last heard of.
#[derive(Debug)]
struct Watched {
    session: Rc<Session>,
    activity: u64,
    idle_checks: u32,
}

async fn run(mut clients: mpsc::Receiver<Accepted>, setup: Setup, state: Arc<State>) {
    let buffers = Rc::new(Buffers::default());
    let Setup {
        upstream,
        settings,
        brokers,
        routes,
    } = setup;
    let frame_limit = upstream.frame_limit;
    let upstream = Upstream::new(buffers.clone(), upstream, brokers, routes);
    let settings = Rc::new(settings);
    let sessions = Sessions::default();
    let mut ticks = tokio::time::interval(TICK);
    let mut idle_checks = tokio::time::interval(IDLE_CHECK);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                upstream.tick();
                state.ticks.fetch_add(1, Ordering::Relaxed);
            }
            () = state.stopping.notified() => break,
            _ = idle_checks.tick() => close_idle(&sessions),
            client = clients.recv() => {
                let Some(Accepted { stream, peer, advertised, broker }) = client else {
                    break;
                };
                let session = Session::new(upstream.clone(), settings.clone(), peer, advertised, broker.as_deref());
                let key = sessions.borrow_mut().insert(Watched {
                    session: session.clone(),
                    activity: 0,
                    idle_checks: 0,
                });
                let (buffers, sessions, state) = (buffers.clone(), sessions.clone(), state.clone());
                tokio::task::spawn_local(async move {
                    match TcpStream::from_std(stream) {
                        Ok(stream) => {
                            connection::serve(stream, session, buffers, frame_limit).await;
                        }
                        Err(error) => warn!(%peer, %error, "cannot serve a connection"),
                    }
                    sessions.borrow_mut().remove(key);
                    state.connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
    }
    stop(&sessions).await;
}

fn close_idle(sessions: &Sessions) {
    for (_, client) in &mut *sessions.borrow_mut() {
        let activity = client.session.activity();
        if activity != client.activity {
            client.activity = activity;
            client.idle_checks = 0;
            continue;
        }
        client.idle_checks += 1;
        if client.idle_checks >= IDLE_CHECKS_MAX {
            client.session.close();
        }
    }
}

async fn stop(sessions: &Sessions) {
    for (_, client) in &*sessions.borrow() {
        client.session.finish();
    }
    let all_gone = async {
        while !sessions.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Whoever does not read by then does not get its answers.
    let _ = tokio::time::timeout(FLUSH_TIME, all_gone).await;
}
