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
use processors::metrics::Limit;
use processors::{Counting, Described, Session, Settings, SlowLog};
use route_cache::transport::Buffers;
use route_cache::{Advertised, BrokerTable, RouteCache, TICK, Upstream, UpstreamConfig};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::addresses::Addresses;
use crate::config::{Aging, Limiting};
use crate::connection;
use crate::metrics::WorkerMetrics;
use crate::sessions::Sessions;

/// Accepted clients that may wait for a worker to take them.
const QUEUE: usize = 256;

/// How often it is looked for clients that are silent, slow or old.
const LOOK: Duration = Duration::from_secs(1);

/// How long answers that are ready may take to leave when the proxy stops.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// What a worker needs to begin.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) upstream: UpstreamConfig,
    pub(crate) settings: Settings,
    pub(crate) limits: Limiting,
    pub(crate) connection_age: Aging,
    pub(crate) addresses: Arc<Addresses>,
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
    /// The listener, by its place among all.
    pub(crate) listener: usize,
}

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Control {
    /// Tell of the clients.
    Describe(oneshot::Sender<Vec<(usize, Described)>>),
    /// Clients that come from now on are served like this.
    Set(Box<(Settings, Limiting, Aging)>),
    /// Have all clients go, over that time.
    Drain(Duration),
    /// End: clients' lanes are closed, then their connections.
    Stop,
}

/// A worker, seen from other threads.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    clients: mpsc::Sender<Accepted>,
    control: mpsc::UnboundedSender<Control>,
    state: Arc<State>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    connections: AtomicUsize,
    ticks: AtomicU64,
}

impl WorkerHandle {
    /// Starts a worker.
    pub(crate) fn start(
        number: usize,
        setup: Setup,
        metrics: Arc<WorkerMetrics>,
    ) -> io::Result<Self> {
        let (clients, accepted) = mpsc::channel(QUEUE);
        let (control, controlled) = mpsc::unbounded_channel();
        let state = Arc::new(State::default());
        let for_worker = state.clone();
        let thread = thread::Builder::new()
            .name(format!("remora-{number}"))
            .spawn(move || {
                let runtime = Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default());
                match runtime {
                    Ok(runtime) => {
                        let worker = Worker::new(setup, metrics, for_worker);
                        runtime.block_on(worker.run(accepted, controlled));
                    }
                    Err(error) => warn!(%error, "a worker cannot start"),
                }
            })?;
        Ok(Self {
            clients,
            control,
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

    /// Tells it something; one that has ended does not hear it.
    pub(crate) fn tell(&self, what: Control) {
        let _ = self.control.send(what);
    }

    /// Blocks until it has ended.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            warn!("a worker ended badly");
        }
    }
}

/// A worker, within its thread.
struct Worker {
    upstream: Rc<Upstream>,
    buffers: Rc<Buffers>,
    settings: Rc<Settings>,
    limits: Limiting,
    frame_limit: usize,
    addresses: Arc<Addresses>,
    sessions: Rc<RefCell<Sessions>>,
    metrics: Arc<WorkerMetrics>,
    slow_log: Rc<SlowLog>,
    state: Arc<State>,
}

impl Worker {
    fn new(setup: Setup, metrics: Arc<WorkerMetrics>, state: Arc<State>) -> Self {
        let buffers = Rc::new(Buffers::default());
        let frame_limit = setup.upstream.frame_limit;
        let upstream = Upstream::new(
            buffers.clone(),
            setup.upstream,
            setup.brokers,
            setup.routes,
            metrics.upstream.clone(),
        );
        Self {
            upstream,
            buffers,
            settings: Rc::new(setup.settings),
            limits: setup.limits,
            frame_limit,
            addresses: setup.addresses,
            sessions: Rc::new(RefCell::new(Sessions::new(setup.connection_age))),
            metrics,
            slow_log: Rc::default(),
            state,
        }
    }

    async fn run(
        mut self,
        mut clients: mpsc::Receiver<Accepted>,
        mut control: mpsc::UnboundedReceiver<Control>,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.upstream.tick();
                    self.sessions.borrow().leave_in_turn();
                    self.state.ticks.fetch_add(1, Ordering::Relaxed);
                }
                _ = looks.tick() => self.sessions.borrow_mut().look(&self.limits),
                told = control.recv() => match told {
                    Some(Control::Describe(answer)) => {
                        // Whoever asked may have stopped waiting.
                        let _ = answer.send(self.sessions.borrow().describe());
                    }
                    Some(Control::Set(set)) => {
                        let (settings, limits, age) = *set;
                        self.settings = Rc::new(settings);
                        self.limits = limits;
                        self.sessions.borrow_mut().set_age(age);
                    }
                    Some(Control::Drain(time)) => self.sessions.borrow_mut().drain(time),
                    Some(Control::Stop) | None => break,
                },
                client = clients.recv() => match client {
                    Some(client) => self.take(client),
                    None => break,
                },
            }
        }
        self.stop().await;
    }

    /// Serves a client in a task of its own.
    fn take(&self, client: Accepted) {
        let state = self.state.clone();
        let Accepted {
            stream,
            peer,
            advertised,
            broker,
            listener,
        } = client;
        let place = self
            .addresses
            .take(peer.ip(), self.limits.connections_per_address);
        let (Some(place), Some(counted)) = (place, self.metrics.listener(listener)) else {
            self.metrics.requests.limit(Limit::ConnectionsPerAddress);
            state.connections.fetch_sub(1, Ordering::Relaxed);
            return;
        };
        counted.opened.add(1);
        let session = Session::new(
            self.upstream.clone(),
            self.settings.clone(),
            peer,
            advertised,
            broker.as_deref(),
            Counting {
                meter: counted.meter.clone(),
                requests: self.metrics.requests.clone(),
                slow_log: self.slow_log.clone(),
            },
        );
        let key = self.sessions.borrow_mut().insert(session.clone(), listener);
        let (buffers, sessions) = (self.buffers.clone(), self.sessions.clone());
        let frame_limit = self.frame_limit;
        tokio::task::spawn_local(async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => connection::serve(stream, session, buffers, frame_limit).await,
                Err(error) => warn!(%peer, %error, "cannot serve a connection"),
            }
            sessions.borrow_mut().remove(key);
            drop(place);
            state.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }

    async fn stop(&self) {
        self.sessions.borrow().finish_all();
        let all_gone = async {
            while !self.sessions.borrow().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Whoever does not read by then does not get its answers.
        let _ = tokio::time::timeout(FLUSH_TIME, all_gone).await;
    }
}
