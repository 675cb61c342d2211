//! A name server and two brokers that bear a load, in a thread of their own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use remoting_codec::RequestCode;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::oneshot,
    task::LocalSet,
};

use super::{
    broker::Broker,
    wire::{Frame, FrameReader, Request},
};

/// The brokers' names.
pub const BROKERS: [&str; 2] = ["broker-a", "broker-b"];

/// The prefix of the topics that exist.
pub const KNOWN: &str = "known";

/// What is in a request that brokers leave unanswered, anywhere in its fields or its body.
pub const UNANSWERED: &str = "known-unanswered";

/// Ids of clients that are remembered at most.
const IDS_MAX: usize = 100_000;

/// What the servers have seen, and how they behave.
#[derive(Debug, Default)]
pub struct Seen {
    /// Connections that brokers have closed, for something on them could not be read.
    pub unreadable: AtomicUsize,
    /// Connections that brokers have taken.
    pub connections: AtomicUsize,
    /// Heartbeats that brokers have taken.
    pub heartbeats: AtomicUsize,
    /// Bytes that brokers have received.
    pub bytes: AtomicU64,
    /// Routes that the name server was asked for.
    pub lookups: AtomicUsize,
    /// How long brokers take for a heartbeat of a client whose id starts with `slow`.
    pub heartbeat_ms: AtomicU64,
    /// Whether brokers answer a send only after a while, as one does that is at its limit.
    pub pausing: AtomicBool,
    ids: Mutex<BTreeMap<String, usize>>,
    advertised: Mutex<Vec<SocketAddr>>,
}

impl Seen {
    /// How many heartbeats of the client with this id brokers have taken.
    #[must_use]
    pub fn heartbeats_of(&self, id: &str) -> usize {
        self.ids.lock().get(id).copied().unwrap_or_default()
    }

    pub(super) fn note_id(&self, id: &str) {
        let mut ids = self.ids.lock();
        if let Some(count) = ids.get_mut(id) {
            *count += 1;
        } else if ids.len() < IDS_MAX {
            // An id may be long; its start distinguishes it from others.
            ids.insert(id.chars().take(64).collect(), 1);
        }
    }
}

/// The servers. They end with this.
#[derive(Debug)]
pub struct Upstream {
    name_server: SocketAddr,
    brokers: Vec<SocketAddr>,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts them on free ports.
    ///
    /// # Errors
    /// When there are none.
    pub fn start() -> Result<Self> {
        let seen = Arc::<Seen>::default();
        let (stop, stopped) = oneshot::channel();
        let (started, addresses) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
                    return;
                };
                LocalSet::new().block_on(&runtime, async {
                    let Ok(listeners) = listen().await else {
                        return;
                    };
                    let local = |listener: &TcpListener| listener.local_addr().ok();
                    let _ = started.send(listeners.iter().filter_map(local).collect::<Vec<_>>());
                    serve(listeners, &seen);
                    let _ = stopped.await;
                });
            }
        });
        let addresses = addresses.recv().context("the fake cluster did not start")?;
        let (name_server, brokers) = addresses.split_first().context("a name server")?;
        *seen.advertised.lock() = brokers.to_vec();
        Ok(Self {
            name_server: *name_server,
            brokers: brokers.to_vec(),
            seen,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where the name server is.
    #[must_use]
    pub fn name_server(&self) -> SocketAddr {
        self.name_server
    }

    /// Where the brokers are.
    #[must_use]
    pub fn brokers(&self) -> &[SocketAddr] {
        &self.brokers
    }

    /// Makes the name server list these brokers.
    pub fn advertise(&self, brokers: &[SocketAddr]) {
        *self.seen.advertised.lock() = brokers.to_vec();
    }

    /// What they have seen.
    #[must_use]
    pub fn seen(&self) -> &Arc<Seen> {
        &self.seen
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn listen() -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for _ in 0..=BROKERS.len() {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        listeners.push(socket.listen(4096)?);
    }
    Ok(listeners)
}

fn serve(listeners: Vec<TcpListener>, seen: &Arc<Seen>) {
    let mut listeners = listeners.into_iter();
    if let Some(name_server) = listeners.next() {
        let seen = Arc::clone(seen);
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = name_server.accept().await {
                tokio::task::spawn_local(answer_lookups(stream, Arc::clone(&seen)));
            }
        });
    }
    for listener in listeners {
        let seen = Arc::clone(seen);
        let broker = Rc::new(Broker::new(Arc::clone(&seen)));
        tokio::task::spawn_local(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        seen.connections.fetch_add(1, Ordering::Relaxed);
                        tokio::task::spawn_local(broker.clone().serve(stream));
                    }
                    // Out of descriptors, for a moment.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
    }
}

async fn answer_lookups(mut stream: TcpStream, seen: Arc<Seen>) {
    let _ = stream.set_nodelay(true);
    let mut reader = FrameReader::default();
    while let Ok(Some((request, _))) = reader.next(&mut stream).await {
        if request.is_oneway() || request.is_response() {
            continue;
        }
        let answer = look_up(&request, &seen).to_frame(request.opaque);
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn look_up(request: &Frame, seen: &Seen) -> Request {
    /// TOPIC_NOT_EXIST.
    const NO_TOPIC: i32 = 17;
    /// REQUEST_CODE_NOT_SUPPORTED.
    const NOT_SUPPORTED: i32 = 3;
    let advertised = seen.advertised.lock().clone();
    let data = |(name, at): (&&str, &SocketAddr)| {
        json!({
            "brokerAddrs": {"0": at.to_string()}, "brokerName": name, "cluster": "DefaultCluster",
        })
    };
    let named = || BROKERS.iter().zip(&advertised);
    match RequestCode(request.code) {
        RequestCode::GET_ROUTEINFO_BY_TOPIC => {
            seen.lookups.fetch_add(1, Ordering::Relaxed);
            let topic = request.field("topic").unwrap_or_default();
            // Every group has a topic for the messages that it fails to consume.
            if !topic.starts_with(KNOWN) && !topic.starts_with("%RETRY%") {
                return Request::response(NO_TOPIC);
            }
            let queues = BROKERS.iter().map(|name| {
                json!({
                    "brokerName": name, "perm": 6, "readQueueNums": 4, "writeQueueNums": 4,
                    "topicSysFlag": 0,
                })
            });
            let route = json!({
                "brokerDatas": named().map(data).collect::<Vec<_>>(),
                "filterServerTable": {},
                "queueDatas": queues.collect::<Vec<_>>(),
            });
            Request::response(0).body(route.to_string())
        }
        RequestCode::GET_BROKER_CLUSTER_INFO => {
            let table: serde_json::Map<_, _> = named()
                .map(|(name, at)| ((*name).to_owned(), data((name, at))))
                .collect();
            let info = json!({
                "brokerAddrTable": table, "clusterAddrTable": {"DefaultCluster": BROKERS},
            });
            Request::response(0).body(info.to_string())
        }
        _ => Request::response(NOT_SUPPORTED),
    }
}
