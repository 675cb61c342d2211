//! A name server that knows fake brokers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use remoting_codec::body::{BrokerData, ClusterInfo, QueueData, TopicRouteData};
use remoting_codec::{
    FLAG_ONEWAY, FLAG_RESPONSE, RemotingCommand, RequestCode, ResponseCode, SerializeType,
};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::broker::FakeBroker;
use super::wire;

/// A name server in this process.
#[derive(Debug)]
pub struct FakeNameServer {
    address: SocketAddr,
    state: Arc<State>,
    running: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    brokers: Mutex<BTreeMap<String, BrokerData>>,
    /// Broker names by topic.
    topics: Mutex<HashMap<String, Vec<String>>>,
    /// Mappings of static topics.
    mappings: Mutex<HashMap<String, BTreeMap<String, Value>>>,
    /// How often each topic's route was asked for.
    asked: Mutex<HashMap<String, usize>>,
    /// Codes that nothing here serves, as they came.
    others: Mutex<Vec<i32>>,
    /// Zones of brokers.
    zones: Mutex<HashMap<String, String>>,
    /// Codes that are not answered.
    unanswered: Mutex<HashSet<i32>>,
    /// How long each question is thought about.
    delay: Mutex<Duration>,
    /// Connections that have come.
    connections: AtomicUsize,
    /// Questions under way, and the most that have been.
    busy: Mutex<(usize, usize)>,
}

impl FakeNameServer {
    /// Starts one on a free port, with these brokers.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(brokers: &[&FakeBroker]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::<State>::default();
        let (running, stopped) = watch::channel(true);
        tokio::spawn(accept(listener, state.clone(), stopped));
        let server = Self {
            address,
            state,
            running,
        };
        for broker in brokers {
            server.add_broker(broker.name(), &[(0, broker.address())]);
        }
        Ok(server)
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has a broker be at these addresses.
    pub fn add_broker(&self, name: &str, addresses: &[(i64, SocketAddr)]) {
        let addresses = addresses.iter().map(|(id, at)| (*id, at.to_string()));
        let data = BrokerData {
            broker_addrs: addresses.collect(),
            broker_name: name.to_owned(),
            cluster: Some("DefaultCluster".to_owned()),
            rest: BTreeMap::new(),
        };
        self.state.brokers.lock().insert(name.to_owned(), data);
    }

    /// Forgets a broker.
    pub fn remove_broker(&self, name: &str) {
        self.state.brokers.lock().remove(name);
    }

    /// Has a topic live on these brokers.
    pub fn add_topic(&self, topic: &str, brokers: &[&str]) {
        let brokers = brokers.iter().map(|name| (*name).to_owned()).collect();
        self.state.topics.lock().insert(topic.to_owned(), brokers);
    }

    /// Has a static topic's logical queue be with a broker.
    pub fn map_queue(&self, topic: &str, queue: i32, broker: &str) {
        let mapping = serde_json::json!({
            "bname": broker,
            "currIdMap": { queue.to_string(): 0 },
            "epoch": 1,
            "scope": "__global__",
        });
        let mut mappings = self.state.mappings.lock();
        let of_topic = mappings.entry(topic.to_owned()).or_default();
        of_topic.insert(broker.to_owned(), mapping);
    }

    /// The codes of requests that were refused, in their order.
    #[must_use]
    pub fn refused(&self) -> Vec<i32> {
        self.state.others.lock().clone()
    }

    /// How often that topic's route was asked for.
    #[must_use]
    pub fn asked(&self, topic: &str) -> usize {
        self.state
            .asked
            .lock()
            .get(topic)
            .copied()
            .unwrap_or_default()
    }

    /// How often any topic's route was asked for.
    #[must_use]
    pub fn asked_in_all(&self) -> usize {
        self.state.asked.lock().values().sum()
    }

    /// Has a broker be in a zone.
    pub fn set_zone(&self, broker: &str, zone: &str) {
        let mut zones = self.state.zones.lock();
        zones.insert(broker.to_owned(), zone.to_owned());
    }

    /// Leaves that code unanswered from now on.
    pub fn leave_unanswered(&self, code: RequestCode) {
        self.state.unanswered.lock().insert(code.0);
    }

    /// Takes that time for each request from now on, for several at a time.
    pub fn set_delay(&self, delay: Duration) {
        *self.state.delay.lock() = delay;
    }

    /// How many connections have come.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// The most questions that were under way at a time.
    #[must_use]
    pub fn busiest(&self) -> usize {
        self.state.busy.lock().1
    }

    /// Ends it.
    pub async fn stop(&self) {
        let _ = self.running.send(false);
        self.running.closed().await;
    }

    /// Starts it again where it was.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_again(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        let (running, stopped) = watch::channel(true);
        tokio::spawn(accept(listener, self.state.clone(), stopped));
        self.running = running;
        Ok(())
    }

    /// Forgets topics.
    pub fn forget_topics(&self) {
        self.state.topics.lock().clear();
    }
}

impl State {
    fn answer(&self, request: &RemotingCommand) -> RemotingCommand {
        let response = |code| RemotingCommand::response(code, request.opaque, SerializeType::Json);
        match RequestCode(request.code) {
            RequestCode::GET_BROKER_CLUSTER_INFO => {
                let info = ClusterInfo {
                    broker_addr_table: self.brokers.lock().clone(),
                    cluster_addr_table: BTreeMap::new(),
                };
                response(ResponseCode::SUCCESS).with_body(info.encode())
            }
            RequestCode::GET_ROUTEINFO_BY_TOPIC => {
                let topic = request.field("topic").unwrap_or_default();
                *self.asked.lock().entry(topic.to_owned()).or_default() += 1;
                match self.topics.lock().get(topic) {
                    Some(brokers) => {
                        let route = TopicRouteData {
                            topic_queue_mapping_by_broker: self.mappings.lock().get(topic).cloned(),
                            ..self.route(brokers)
                        };
                        response(ResponseCode::SUCCESS).with_body(route.encode())
                    }
                    None => response(ResponseCode::TOPIC_NOT_EXIST).with_remark("no such topic"),
                }
            }
            RequestCode(code) => {
                self.others.lock().push(code);
                response(ResponseCode::REQUEST_CODE_NOT_SUPPORTED)
            }
        }
    }

    fn route(&self, names: &[String]) -> TopicRouteData {
        let known = self.brokers.lock();
        let brokers: Vec<_> = names
            .iter()
            .filter_map(|name| known.get(name))
            .cloned()
            .map(|mut broker| {
                if let Some(zone) = self.zones.lock().get(&broker.broker_name) {
                    broker.rest.insert("zoneName".into(), zone.as_str().into());
                }
                broker
            })
            .collect();
        let queues = brokers.iter().map(|broker| QueueData {
            broker_name: broker.broker_name.clone(),
            perm: 6,
            read_queue_nums: 4,
            write_queue_nums: 4,
            rest: BTreeMap::new(),
        });
        TopicRouteData {
            queue_datas: queues.collect(),
            broker_datas: brokers,
            ..TopicRouteData::default()
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, running: watch::Receiver<bool>) {
    let mut stopped = running.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let (state, mut running) = (state.clone(), running.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve(stream, &state) => {}
                        _ = running.wait_for(|running| !running) => {}
                    }
                });
            }
            _ = stopped.wait_for(|running| !running) => return,
        }
    }
}

async fn serve(stream: TcpStream, state: &Arc<State>) {
    state.connections.fetch_add(1, Ordering::Relaxed);
    let (mut reading, mut writing) = stream.into_split();
    let (writer, mut answers) = mpsc::unbounded_channel::<RemotingCommand>();
    let write = async {
        while let Some(answer) = answers.recv().await {
            if writing.write_all(&answer.to_bytes()).await.is_err() {
                return;
            }
        }
    };
    let read = async {
        while let Ok(Some(request)) = wire::read(&mut reading).await {
            let answer = RemotingCommand {
                flag: FLAG_RESPONSE,
                ..state.answer(&request)
            };
            let unanswered = state.unanswered.lock().contains(&request.code);
            if unanswered || request.flag & FLAG_ONEWAY != 0 {
                continue;
            }
            let delay = *state.delay.lock();
            let (state, writer) = (state.clone(), writer.clone());
            {
                let (now, most) = &mut *state.busy.lock();
                *now += 1;
                *most = (*most).max(*now);
            }
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                state.busy.lock().0 -= 1;
                let _ = writer.send(answer);
            });
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}
