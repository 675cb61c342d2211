//! A worker within its thread: it serves its share of the clients.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_server::Version;
use remoting::metrics::Limit;
use remoting::{ClientSummary, Session, SessionMetrics, Settings, SlowLog};
use remoting_codec::FrameLimits;
use remoting_transport::{Pool, Prefixed, announce_end};
use route_cache::{BrokerTable, Permit, RouteCache, TICK, Upstream, UpstreamConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tracing::debug;

use crate::addresses::{AddressSlot, Addresses};
use crate::client::Client;
use crate::config::{ClientLimits, ConnectionAgeConfig};
use crate::connection;
use crate::entrance::{Arrival, Entrance, Refusal, Stream, log_limit};
use crate::http::HttpServers;
use crate::listener_info::{Accepted, ConnectedTo, ListenerInfo};
use crate::metrics::WorkerMetrics;
use crate::protocol::{FirstBytes, HTTP1_REFUSED, HTTP2_REFUSED, Protocols};
use crate::sessions::Sessions;

/// How often clients are scanned for those that are silent, slow or old.
const SCAN_PERIOD: Duration = Duration::from_secs(1);

/// What a worker has missed is made up for, up to this.
const STANDSTILL_MAX: Duration = Duration::from_millis(500);

/// How long answers that are ready may take to leave when the proxy stops.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// What a worker needs to begin.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) upstream: UpstreamConfig,
    pub(crate) settings: Settings,
    /// What clients make all workers hold.
    pub(crate) held: Arc<Pool>,
    pub(crate) limits: ClientLimits,
    pub(crate) connection_age: ConnectionAgeConfig,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) brokers: Arc<BrokerTable>,
    pub(crate) routes: RouteCache,
    pub(crate) entrance: Entrance,
}

/// Something to do on a worker's thread.
pub(crate) type Job = Box<dyn FnOnce(&Rc<Worker>) + Send>;

/// What a [`WorkerHandle`](crate::worker_handle::WorkerHandle) sends.
pub(crate) enum Order {
    Run(Job),
    /// End: the lanes of clients are closed, then their connections.
    Stop,
}

/// What other threads read of a worker.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Clients that it has, those in its queue included.
    pub(crate) connections: AtomicUsize,
    /// Counts up while the worker makes progress.
    pub(crate) ticks: AtomicU64,
}

/// A connection before its first frame.
struct PendingConnection {
    /// The address of this host that the connection was made to.
    local: IpAddr,
    listener: Arc<ListenerInfo>,
    since: Instant,
    /// None until a PROXY header has named the client's address.
    slot: Option<AddressSlot>,
    guard: ConnectionGuard,
}

/// Counts as a connection of the worker until dropped, which must be after the connection is
/// closed.
struct ConnectionGuard(
    Arc<State>,
    #[expect(dead_code, reason = "it is dropped")] Permit,
);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a connection that is served occupies, until it is closed.
struct Occupied {
    /// Its key among the worker's sessions.
    key: usize,
    #[expect(dead_code, reason = "it is dropped")]
    slot: AddressSlot,
    #[expect(dead_code, reason = "it is dropped")]
    guard: ConnectionGuard,
}

/// A client that is served, until its protocol is known.
struct Serving {
    session: Rc<Session>,
    endpoint: http_server::Endpoint,
    protocols: Protocols,
    occupied: Occupied,
}

/// A worker, within its thread.
pub(crate) struct Worker {
    upstream: Rc<Upstream>,
    settings: RefCell<Rc<Settings>>,
    http: HttpServers,
    limits: RefCell<ClientLimits>,
    addresses: Arc<Addresses>,
    entrance: Entrance,
    sessions: RefCell<Sessions>,
    metrics: Arc<WorkerMetrics>,
    slow_log: Rc<SlowLog>,
    state: Arc<State>,
}

impl Worker {
    /// A worker on the calling thread.
    pub(crate) fn new(setup: Setup, metrics: Arc<WorkerMetrics>, state: Arc<State>) -> Self {
        let upstream = Upstream::new(
            Rc::default(),
            setup.upstream,
            setup.brokers,
            setup.routes,
            metrics.upstream.clone(),
        );
        let ledger = upstream.buffers().ledger();
        ledger.join(setup.held);
        let http = HttpServers::new(upstream.clone(), &setup.settings, &setup.limits, &metrics);
        let sessions = Sessions::new(setup.connection_age, metrics.requests.clone());
        Self {
            http,
            upstream,
            settings: RefCell::new(Rc::new(setup.settings)),
            limits: RefCell::new(setup.limits),
            addresses: setup.addresses,
            entrance: setup.entrance,
            sessions: RefCell::new(sessions),
            metrics,
            slow_log: Rc::default(),
            state,
        }
    }

    /// Serves until it is ordered to stop.
    pub(crate) async fn run(
        self: Rc<Self>,
        mut clients: mpsc::Receiver<Accepted>,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut ticked = Instant::now();
        let mut scans = tokio::time::interval(SCAN_PERIOD);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    // Time in which the whole process was stopped must not count as silence of its
                    // peers.
                    let now = Instant::now();
                    let lived = now.duration_since(ticked).min(STANDSTILL_MAX).as_millis() / TICK.as_millis();
                    ticked = now;
                    for _ in 0..lived.max(1) {
                        self.upstream.tick();
                    }
                    let ledger = self.upstream.buffers().ledger();
                    ledger.publish();
                    self.metrics.held.set(ledger.held() as i64);
                    let sessions = self.sessions.borrow();
                    sessions.relieve(ledger);
                    sessions.leave_in_turn();
                    drop(sessions);
                    self.state.ticks.fetch_add(1, Ordering::Relaxed);
                }
                _ = scans.tick() => self.sessions.borrow_mut().scan(&self.limits.borrow()),
                order = orders.recv() => match order {
                    Some(Order::Run(job)) => job(&self),
                    Some(Order::Stop) | None => break,
                },
                client = clients.recv() => match client {
                    Some(client) => {
                        // Thousands of clients may connect at the same time.
                        self.upstream.buffers().turn().await;
                        self.take(client);
                    }
                    None => break,
                },
            }
        }
        self.stop().await;
    }

    /// Its clients, each with the number of its listener.
    pub(crate) fn summaries(&self) -> Vec<(usize, ClientSummary)> {
        self.sessions.borrow().summaries()
    }

    /// Clients that connect from now on are served with these settings.
    pub(crate) fn configure(
        &self,
        settings: Settings,
        limits: ClientLimits,
        age: ConnectionAgeConfig,
    ) {
        self.http.configure(&settings, &limits);
        *self.settings.borrow_mut() = Rc::new(settings);
        *self.limits.borrow_mut() = limits;
        self.sessions.borrow_mut().set_age(age);
    }

    /// Ends all clients' connections, one after the other over that time.
    pub(crate) fn drain(&self, time: Duration) {
        self.http.leave();
        self.sessions.borrow_mut().drain(time);
    }

    /// Serves a connection, in a task of its own.
    fn take(self: &Rc<Self>, accepted: Accepted) {
        let Accepted {
            stream,
            permit,
            peer: from,
            local,
            listener,
        } = accepted;
        let guard = ConnectionGuard(self.state.clone(), permit);
        if self.upstream.buffers().ledger().is_full() {
            self.metrics.requests.limit(Limit::Memory);
            return log_limit(from, Limit::Memory);
        }
        // The address of a client behind a balancer is known later.
        let slot = match listener.balanced {
            true => None,
            false => match self.slot(from) {
                None => return,
                slot => slot,
            },
        };
        if let Some(counted) = self.metrics.listener(listener.number) {
            counted.opened.add(1);
        }
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            // It was closed, or the kernel has no room: both happen many at a time.
            Err(error) => return debug!(peer = %from, %error, "cannot serve a connection"),
        };
        let balanced = listener.balanced;
        let pending = PendingConnection {
            local,
            listener,
            since: Instant::now(),
            slot,
            guard,
        };
        if self.entrance.is_open(balanced) {
            return self.admit(Arrival::plain(stream, from), pending);
        }
        let worker = self.clone();
        // The memory of this task is free again before the client is served.
        tokio::task::spawn_local(async move {
            let time = worker.limits.borrow().handshake_time;
            match worker.entrance.pass(stream, from, balanced, time).await {
                Ok(arrival) => worker.admit(arrival, pending),
                Err(refusal) => {
                    if matches!(refusal, Refusal::Late) {
                        worker.metrics.requests.limit(Limit::Handshake);
                    }
                    refusal.log(from);
                }
            }
        });
    }

    /// A slot for one more connection of that client, unless it has too many.
    fn slot(&self, peer: SocketAddr) -> Option<AddressSlot> {
        let limit = self.limits.borrow().connections_per_address;
        let slot = self.addresses.take(peer.ip(), limit);
        if slot.is_none() {
            self.metrics.requests.limit(Limit::ConnectionsPerAddress);
            log_limit(peer, Limit::ConnectionsPerAddress);
        }
        slot
    }

    /// Makes a session for a connection over which frames follow from now on.
    fn admit(self: &Rc<Self>, arrival: Arrival, pending: PendingConnection) {
        let PendingConnection {
            local,
            listener,
            since,
            slot,
            guard,
        } = pending;
        let Some(counted) = self.metrics.listener(listener.number) else {
            return;
        };
        let Some(slot) = slot.or_else(|| self.slot(arrival.peer)) else {
            return;
        };
        let connected_to = ConnectedTo {
            local,
            at_balancer: arrival.destination,
        };
        let advertised = listener.advertised(connected_to);
        let endpoint = http_server::Endpoint {
            peer: arrival.peer,
            advertised: advertised.shared.clone(),
            meter: counted.meter.clone(),
        };
        let session = Session::new(
            self.upstream.clone(),
            self.settings.borrow().clone(),
            arrival.peer,
            advertised,
            listener.broker.as_deref(),
            SessionMetrics {
                meter: counted.meter.clone(),
                requests: self.metrics.requests.clone(),
                slow_log: self.slow_log.clone(),
            },
        );
        let kept = Client::Remoting(session.clone());
        let key = self
            .sessions
            .borrow_mut()
            .insert(kept, listener.number, since);
        let serving = Serving {
            session,
            endpoint,
            protocols: listener.protocols,
            occupied: Occupied { key, slot, guard },
        };
        match arrival.stream {
            Stream::Plain(stream) => self.serve(stream, false, serving),
            Stream::Tls(stream) => self.serve(stream, true, serving),
        }
    }

    /// Serves a client until it leaves. With `announces_end`, it is notified before the connection
    /// ends.
    fn serve<S>(self: &Rc<Self>, mut stream: S, announces_end: bool, serving: Serving)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let worker = self.clone();
        tokio::task::spawn_local(async move {
            let (buffers, config) = (worker.upstream.buffers(), worker.upstream.config());
            let limits = FrameLimits {
                // Where frames are not taken, each is too long.
                frame: match serving.protocols.remoting {
                    true => config.frame_limit,
                    false => 0,
                },
                header: config.header_limit,
            };
            let session = &serving.session;
            let foreign = connection::serve(&mut stream, session, buffers, limits).await;
            if let Some((first, read)) = foreign {
                // A task of its own, so that this one's memory is that of a remoting client.
                return worker.serve_other(stream, first, read, serving);
            }
            if announces_end {
                announce_end(&mut stream).await;
            }
            worker.sessions.borrow_mut().remove(serving.occupied.key);
            // It counts until its connection is closed.
            drop(stream);
            drop(serving);
        });
    }

    /// Serves a client of another protocol, of whose connection these bytes were read, or refuses
    /// it in its own language.
    fn serve_other<S>(
        self: &Rc<Self>,
        mut stream: S,
        first: FirstBytes,
        read: Bytes,
        serving: Serving,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let worker = self.clone();
        let Serving {
            endpoint,
            protocols,
            occupied,
            ..
        } = serving;
        tokio::task::spawn_local(async move {
            let peer = endpoint.peer;
            let version = match first {
                FirstBytes::Http2 if protocols.grpc || protocols.http => Some(Version::Http2),
                FirstBytes::Http1 if protocols.http => Some(Version::Http1),
                _ => None,
            };
            if let Some(version) = version {
                let client = worker.http.open(version, protocols, endpoint);
                let kept = Client::Http(client.clone());
                worker.sessions.borrow_mut().replace(occupied.key, kept);
                let answering = client.clone();
                let answer = move |request| answering.clone().answer(request);
                let stream = Prefixed::new(read, stream);
                let ended = http_server::serve(&client.over, stream, answer).await;
                client.close();
                connection::report_http(peer, ended);
            } else {
                debug!(%peer, ?first, "a protocol that this listener does not take");
                let refusal = match first {
                    FirstBytes::Http2 => HTTP2_REFUSED,
                    _ => HTTP1_REFUSED,
                };
                let time = worker.limits.borrow().handshake_time;
                let _ = timeout(time, connection::refuse(&mut stream, refusal)).await;
            }
            worker.sessions.borrow_mut().remove(occupied.key);
            drop(occupied);
        });
    }

    async fn stop(&self) {
        self.sessions.borrow().finish_all();
        let all_gone = async {
            while !self.sessions.borrow().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // A client that does not read by then does not get its answers.
        let _ = tokio::time::timeout(FLUSH_TIME, all_gone).await;
    }
}
