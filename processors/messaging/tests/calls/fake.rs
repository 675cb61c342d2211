//! Brokers and their name server as far as calls need them, within the thread of a test.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use messaging::{Caller, Policy, Requests};
use remoting_codec::body::{BrokerData, ClusterInfo, QueueData, TopicRouteData};
use remoting_codec::{
    CommandView, FrameLimits, RemotingCommand, RequestCode, ResponseCode, SerializeType,
    frame_length,
};
use remoting_transport::Account;
use route_cache::{
    BrokerTable, RouteCache, RouteConfig, TICK, Upstream, UpstreamConfig, name_servers,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

/// Longer than anything takes here.
const IN_VAIN: Duration = Duration::from_secs(10);

/// Queues of every topic on every broker.
const QUEUES: i32 = 4;

/// Runs a test on one thread.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// Waits until there is something.
pub(crate) async fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            match found() {
                Some(found) => return found,
                None => sleep(Duration::from_millis(2)).await,
            }
        }
    };
    timeout(IN_VAIN, look).await.expect("it never happens")
}

/// A frame that a broker has got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) code: i32,
    pub(crate) is_response: bool,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields
            .get(name)
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection to a broker.
pub(crate) struct Link {
    out: mpsc::UnboundedSender<Bytes>,
    /// The last heartbeat on it.
    pub(crate) heartbeat: RefCell<String>,
    pub(crate) is_closed: Cell<bool>,
}

impl Link {
    /// Sends a frame of the broker's own.
    pub(crate) fn push(&self, frame: &RemotingCommand) {
        let _ = self.out.send(frame.to_bytes());
    }
}

type Script = dyn Fn(&Got) -> Option<RemotingCommand>;

/// A broker. It answers SUCCESS to all that its script does not answer.
pub(crate) struct Broker {
    pub(crate) links: RefCell<Vec<Rc<Link>>>,
    pub(crate) got: RefCell<Vec<Got>>,
    script: RefCell<Rc<Script>>,
}

impl Broker {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            links: RefCell::default(),
            got: RefCell::default(),
            script: RefCell::new(Rc::new(|_| None)),
        })
    }

    /// What it answers from now on; nothing if the script returns none.
    pub(crate) fn answer(&self, script: impl Fn(&Got) -> Option<RemotingCommand> + 'static) {
        *self.script.borrow_mut() = Rc::new(script);
    }

    /// The frames of that code that it has got.
    pub(crate) fn all(&self, code: RequestCode) -> Vec<Got> {
        let got = self.got.borrow();
        let requests = got.iter().filter(|got| !got.is_response);
        requests.filter(|got| got.code == code.0).cloned().collect()
    }

    /// The open connection on which a client of that text in its heartbeat is registered.
    pub(crate) fn link_of(&self, text: &str) -> Option<Rc<Link>> {
        let links = self.links.borrow();
        let mut open = links.iter().filter(|link| !link.is_closed.get());
        open.find(|link| link.heartbeat.borrow().contains(text))
            .cloned()
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            spawn_local(self.clone().serve(stream));
        }
    }

    async fn serve(self: Rc<Self>, stream: TcpStream) {
        let (mut read, mut write) = stream.into_split();
        let (out, mut written) = mpsc::unbounded_channel::<Bytes>();
        let link = Rc::new(Link {
            out,
            heartbeat: RefCell::default(),
            is_closed: Cell::new(false),
        });
        self.links.borrow_mut().push(link.clone());
        spawn_local(async move {
            while let Some(frame) = written.recv().await {
                if write.write_all(&frame).await.is_err() {
                    return;
                }
            }
        });
        let mut bytes = Vec::new();
        while matches!(read.read_buf(&mut bytes).await, Ok(1..)) {
            while let Ok(Some(length)) = frame_length(&bytes, FrameLimits::default())
                && length <= bytes.len()
            {
                let frame: Vec<u8> = bytes.drain(..length).collect();
                self.on_frame(&link, &frame);
            }
        }
        link.is_closed.set(true);
    }

    fn on_frame(&self, link: &Link, frame: &[u8]) {
        let view: CommandView<'_> = CommandView::decode(frame).unwrap();
        let mut fields = BTreeMap::new();
        view.ext_fields().visit(|name, value| {
            fields.insert(name.to_owned(), value.text().into_owned());
        });
        let got = Got {
            code: view.code(),
            is_response: view.is_response(),
            fields,
            body: Bytes::copy_from_slice(view.body()),
        };
        if got.code == RequestCode::HEART_BEAT.0 && !got.is_response {
            *link.heartbeat.borrow_mut() = got.text();
        }
        let script = self.script.borrow().clone();
        let answer = (!got.is_response).then(|| script(&got).unwrap_or_else(success));
        self.got.borrow_mut().push(got);
        if let Some(mut answer) = answer.filter(|_| !view.is_oneway()) {
            answer.opaque = view.opaque();
            let _ = link.out.send(answer.to_bytes());
        }
    }
}

/// An answer of success.
pub(crate) fn success() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
}

/// The answer to a message that is stored.
pub(crate) fn stored() -> RemotingCommand {
    success()
        .with_field("msgId", "7F00000100002A9F0000000000001267")
        .with_field("queueId", "2")
        .with_field("queueOffset", "3")
        .with_field("transactionId", "01F0")
}

/// Two brokers, and the connections of a worker to them.
pub(crate) struct Cluster {
    pub(crate) brokers: Vec<Rc<Broker>>,
    pub(crate) upstream: Rc<Upstream>,
    pub(crate) policy: Arc<Policy>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let mut brokers = Vec::new();
        let mut all = BTreeMap::new();
        for name in ["broker-a", "broker-b"] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let data = BrokerData {
                broker_addrs: [(0, address)].into(),
                broker_name: name.to_owned(),
                cluster: Some("DefaultCluster".to_owned()),
                ..BrokerData::default()
            };
            all.insert(name.to_owned(), data);
            let broker = Broker::new();
            spawn_local(broker.clone().accept(listener));
            brokers.push(broker);
        }
        let name_server = Broker::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        spawn_local(name_server.clone().accept(listener));
        let queues = all.keys().map(|name| QueueData {
            broker_name: name.clone(),
            perm: 6,
            read_queue_nums: QUEUES,
            write_queue_nums: QUEUES,
            rest: BTreeMap::new(),
        });
        let route = TopicRouteData {
            queue_datas: queues.collect(),
            broker_datas: all.values().cloned().collect(),
            ..TopicRouteData::default()
        };
        let cluster = ClusterInfo {
            cluster_addr_table: [("DefaultCluster".to_owned(), all.keys().cloned().collect())]
                .into(),
            broker_addr_table: all,
        };
        name_server.answer(move |got| {
            let body = match RequestCode(got.code) {
                RequestCode::GET_ROUTEINFO_BY_TOPIC => route.encode(),
                RequestCode::GET_BROKER_CLUSTER_INFO => cluster.encode(),
                _ => return None,
            };
            Some(success().with_body(body))
        });
        let config = UpstreamConfig::default();
        let (asked, client) = name_servers(vec![address], config.clone());
        spawn_local(client.run());
        let table = Arc::new(BrokerTable::new(asked.clone()));
        let routes = RouteCache::new(RouteConfig::default(), table.clone(), asked);
        let upstream = Upstream::new(Rc::default(), config, table, routes, Arc::default());
        let ticking = upstream.clone();
        spawn_local(async move {
            loop {
                sleep(TICK).await;
                ticking.tick();
            }
        });
        Self {
            brokers,
            upstream,
            policy: Arc::default(),
        }
    }

    /// A client's requests.
    pub(crate) fn requests(&self) -> Rc<Requests> {
        let account = Account::open(self.upstream.buffers().ledger().clone());
        let from = Ipv4Addr::new(10, 0, 0, 9).into();
        let caller = Caller::new(self.upstream.clone(), self.policy.clone(), from, None);
        account.join(caller.address().holders().clone());
        Requests::new(caller, account)
    }
}
