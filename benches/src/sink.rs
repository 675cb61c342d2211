//! Brokers that answer immediately and keep nothing, and the name server that lists them: a
//! measurement through a proxy to them is one of the proxy. All of them are one thread of one
//! process.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use anyhow::{Context, Result};
use remoting_codec::body::{BrokerData, ClusterInfo, QueueData, TopicRouteData};
use remoting_codec::{CommandView, RemotingCommand, RequestCode, ResponseCode, SerializeType};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

use crate::aside::Aside;
use crate::inbox::Inbox;

/// Bytes that one read takes at most.
const READ_SIZE: usize = 256 * 1024;

/// Bytes of what a pull is answered with.
const PULLED: usize = 12 * 1024;

/// Queues of every topic on every broker.
const QUEUES: i32 = 4;

/// The name of the nth broker.
#[must_use]
pub fn broker_name(nth: usize) -> String {
    format!("broker-{nth}")
}

/// Runs that many brokers and prints where they are, the name server first.
///
/// # Errors
/// When one cannot listen.
pub fn run(brokers: usize) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let addresses = start(brokers).await?;
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&addresses)?)?;
        std::future::pending().await
    })
}

/// Starts that many brokers within a [`LocalSet`]. Returns where they are, the name server first.
///
/// # Errors
/// When one cannot listen.
pub async fn start(brokers: usize) -> Result<Vec<SocketAddr>> {
    let read = Rc::new(RefCell::new(vec![0; READ_SIZE]));
    let name_server = listen().await?;
    let mut addresses = vec![name_server.local_addr()?];
    let mut all = BTreeMap::new();
    let answers = Rc::new(Answers::broker());
    for nth in 0..brokers {
        let broker = listen().await?;
        let address = broker.local_addr()?;
        addresses.push(address);
        all.insert(broker_name(nth), broker_data(nth, address));
        spawn_local(Aside::new(accept(broker, answers.clone(), read.clone())));
    }
    let answers = Rc::new(Answers::name_server(all));
    spawn_local(Aside::new(accept(name_server, answers, read)));
    Ok(addresses)
}

async fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    listener.context("a sink needs a port")
}

fn broker_data(nth: usize, address: SocketAddr) -> BrokerData {
    BrokerData {
        broker_addrs: [(0, address.to_string())].into(),
        broker_name: broker_name(nth),
        cluster: Some("DefaultCluster".to_owned()),
        rest: BTreeMap::new(),
    }
}

/// What is answered, by code. Encoded once, for as long as the process lives.
struct Answers {
    by_code: Vec<(RequestCode, CommandView<'static>)>,
    any: CommandView<'static>,
}

impl Answers {
    fn broker() -> Self {
        let sent = answer()
            .with_field("msgId", "7F00000100002A9F0000000000012345")
            .with_field("queueId", "2")
            .with_field("queueOffset", "12345")
            .with_field("transactionId", "7F00000100002A9F0000000000000000")
            .with_field("MSG_REGION", "DefaultRegion")
            .with_field("TRACE_ON", "true");
        let pulled = answer()
            .with_remark("FOUND")
            .with_field("suggestWhichBrokerId", "0")
            .with_field("nextBeginOffset", "32")
            .with_field("minOffset", "0")
            .with_field("maxOffset", "1000")
            .with_body(vec![b'x'; PULLED]);
        // Of any topic.
        let configured = answer().with_body(r#"{"topicName":"","attributes":{}}"#);
        Self {
            by_code: vec![
                (RequestCode::GET_TOPIC_CONFIG, forever(&configured)),
                (RequestCode::SEND_MESSAGE_V2, forever(&sent)),
                (RequestCode::PULL_MESSAGE, forever(&pulled)),
            ],
            any: forever(&answer()),
        }
    }

    /// Every topic is on all brokers.
    fn name_server(brokers: BTreeMap<String, BrokerData>) -> Self {
        let queues = brokers.keys().map(|name| QueueData {
            broker_name: name.clone(),
            perm: 6,
            read_queue_nums: QUEUES,
            write_queue_nums: QUEUES,
            rest: BTreeMap::new(),
        });
        let route = TopicRouteData {
            queue_datas: queues.collect(),
            broker_datas: brokers.values().cloned().collect(),
            ..TopicRouteData::default()
        };
        let names = brokers.keys().cloned().collect();
        let cluster = ClusterInfo {
            cluster_addr_table: [("DefaultCluster".to_owned(), names)].into(),
            broker_addr_table: brokers,
        };
        let route = forever(&answer().with_body(route.encode()));
        let cluster = forever(&answer().with_body(cluster.encode()));
        Self {
            by_code: vec![
                (RequestCode::GET_ROUTEINFO_BY_TOPIC, route),
                (RequestCode::GET_BROKER_CLUSTER_INFO, cluster),
            ],
            any: forever(&answer()),
        }
    }

    fn answer(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let request = CommandView::decode(frame)?;
        if request.is_response() || request.is_oneway() {
            return Ok(());
        }
        let code = request.request_code();
        let known = self.by_code.iter().find(|(of, _)| *of == code);
        let answer = known.map_or(&self.any, |(_, answer)| answer);
        answer.encode_head_with_opaque(request.opaque(), out);
        out.extend_from_slice(answer.body());
        Ok(())
    }
}

/// A broker answers in JSON, also to a binary request.
fn answer() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
}

/// A frame that is kept in memory until the process ends.
#[allow(clippy::expect_used, reason = "what we have encoded can be decoded")]
fn forever(command: &RemotingCommand) -> CommandView<'static> {
    let frame = Vec::leak(command.to_bytes().to_vec());
    CommandView::decode(frame).expect("a frame of our own")
}

async fn accept(
    listener: TcpListener,
    answers: Rc<Answers>,
    read: Rc<RefCell<Vec<u8>>>,
) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // It ends with its connection, with or without an error.
        spawn_local(Aside::new(serve(stream, answers.clone(), read.clone())));
    }
}

async fn serve(
    mut stream: TcpStream,
    answers: Rc<Answers>,
    read: Rc<RefCell<Vec<u8>>>,
) -> Result<()> {
    let mut inbox = Inbox::default();
    let mut out = Vec::new();
    loop {
        let open = poll_fn(|cx| {
            let mut read = read.borrow_mut();
            let mut buffer = ReadBuf::new(&mut read);
            match Pin::new(&mut stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(done) => done?,
            }
            let bytes = buffer.filled();
            inbox.take_in(bytes, |frame| answers.answer(frame, &mut out))?;
            Poll::Ready(anyhow::Ok(!bytes.is_empty()))
        });
        if !open.await? {
            return Ok(());
        }
        stream.write_all(&out).await?;
        out.clear();
    }
}
