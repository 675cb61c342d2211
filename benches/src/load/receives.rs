//! One connection of a load of consumers: each stream receives a batch and acknowledges it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes};
use grpc::codec::PREFIX;
use grpc::proto::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, Broker, Code, Command, Duration,
    MessageQueue, PubSub, ReceiveContent, ReceiveMessageRequest, ReceiveMessageResponse, Resource,
    Settings, Subscription, SubscriptionEntry, TelemetryCommand,
};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::HeaderValue;
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::calls::{Call, Caller, only};
use super::connection::Shared;
use super::{Load, STOP};

/// Messages of a batch.
const BATCH: i32 = 32;

/// How long a batch is invisible that is not acknowledged, and how long a broker may wait:
/// milliseconds. The Java proxy takes no less than these.
const INVISIBLE: i64 = 60_000;
const WAIT: i64 = 5_000;

/// A simple consumer (`ClientType`).
const SIMPLE_CONSUMER: i32 = 3;

/// What the consumers of a load receive.
#[derive(Clone, Debug)]
pub struct Receiving {
    /// The topic.
    pub topic: String,
    /// The broker that they receive from.
    pub broker: String,
    /// A group for each stream, or several by HTTP: each gets all messages of the topic.
    pub groups: Vec<String>,
}

fn resource(name: &str) -> Option<Resource> {
    Some(Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    })
}

/// A client with a Telemetry stream, as each has.
pub struct Present {
    caller: Caller,
    client_id: HeaderValue,
    _answers: RecvStream,
    _stream: SendStream<Bytes>,
}

impl Present {
    /// Opens the stream of a consumer, and waits until its settings are answered.
    ///
    /// # Errors
    /// When they are not.
    pub async fn open(caller: Caller, id: &str, group: &str, topic: &str) -> Result<Self> {
        let client_id = HeaderValue::from_str(id)?;
        let settings = Settings {
            client_type: Some(SIMPLE_CONSUMER),
            request_timeout: Some(Duration::from_millis(3_000)),
            pub_sub: Some(PubSub::Subscription(Subscription {
                group: resource(group),
                subscriptions: vec![SubscriptionEntry {
                    topic: resource(topic),
                    expression: None,
                }],
                ..Subscription::default()
            })),
            ..Settings::default()
        };
        let command = TelemetryCommand {
            status: None,
            command: Some(Command::Settings(settings)),
        };
        let call = Call::of(&command, Some(&client_id));
        let (answer, stream) = caller.begin("Telemetry", &call, false).await?;
        let answers = answered(answer).await?;
        Ok(Self {
            caller,
            client_id,
            _answers: answers,
            _stream: stream,
        })
    }
}

/// Waits for the first message of an answer.
async fn answered(answer: ResponseFuture) -> Result<RecvStream> {
    let (_, mut body) = answer.await?.into_parts();
    let Some(data) = body.data().await else {
        let ended = body.trailers().await?.unwrap_or_default();
        bail!("no answer to the settings: {ended:?}");
    };
    let data = data?;
    body.flow_control().release_capacity(data.len())?;
    Ok(body)
}

/// A connection whose streams have not started.
pub(super) struct Connection {
    shared: Rc<Shared>,
    present: Rc<Present>,
    receiving: Arc<Receiving>,
    /// The groups of its streams.
    groups: Vec<String>,
}

impl Connection {
    pub(super) async fn open(
        shared: &Rc<Shared>,
        load: &Load,
        receiving: &Arc<Receiving>,
        nth: usize,
    ) -> Result<Self> {
        let address = load.addresses.get(nth % load.addresses.len().max(1));
        let stream = TcpStream::connect(address.context("a load needs an address")?).await?;
        stream.set_nodelay(true)?;
        let caller = Caller::over(stream).await?;
        let groups = receiving.groups.iter().skip(nth * load.outstanding);
        let groups: Vec<String> = groups.take(load.outstanding).cloned().collect();
        let group = groups.first().context("a stream needs a group")?;
        let present = Present::open(caller, group, group, &receiving.topic).await?;
        Ok(Self {
            shared: shared.clone(),
            present: Rc::new(present),
            receiving: receiving.clone(),
            groups,
        })
    }

    /// Keeps streams receiving until it must stop, and then waits for the last acknowledgements.
    pub(super) async fn run(self) -> Result<()> {
        let mut receiving = JoinSet::new();
        for group in &self.groups {
            let (shared, present) = (self.shared.clone(), self.present.clone());
            let stream = Stream::new(&present, &self.receiving, group);
            receiving.spawn_local(stream.again(shared, present));
        }
        while let Some(ended) = receiving.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// One stream.
struct Stream {
    receive: Call,
    topic: String,
    group: String,
}

impl Stream {
    fn new(present: &Present, receiving: &Receiving, group: &str) -> Self {
        let request = ReceiveMessageRequest {
            group: resource(group),
            message_queue: Some(MessageQueue {
                topic: resource(&receiving.topic),
                id: -1,
                broker: Some(Broker {
                    name: receiving.broker.clone(),
                    ..Broker::default()
                }),
                ..MessageQueue::default()
            }),
            batch_size: BATCH,
            invisible_duration: Some(Duration::from_millis(INVISIBLE)),
            long_polling_timeout: Some(Duration::from_millis(WAIT)),
            ..ReceiveMessageRequest::default()
        };
        Self {
            receive: with_deadline(Call::of(&request, Some(&present.client_id))),
            topic: receiving.topic.clone(),
            group: group.to_owned(),
        }
    }

    async fn again(self, shared: Rc<Shared>, present: Rc<Present>) -> Result<()> {
        loop {
            let since = Instant::now();
            let bodies = self.once(&present).await?;
            let phase = shared.control().phase.load(Ordering::Relaxed);
            shared.count(bodies, since, Instant::now(), phase);
            if phase == STOP {
                return Ok(());
            }
        }
    }

    /// Receives a batch and acknowledges it; returns the bytes of its bodies.
    async fn once(&self, present: &Present) -> Result<usize> {
        let frames = present
            .caller
            .exchange("ReceiveMessage", &self.receive)
            .await?;
        let (mut entries, mut bodies) = (Vec::new(), 0);
        for answer in messages(frames)? {
            match answer.content {
                Some(ReceiveContent::Message(message)) => {
                    bodies += message.body.len();
                    let system = message.system_properties.unwrap_or_default();
                    entries.push(AckMessageEntry {
                        message_id: system.message_id,
                        receipt_handle: system.receipt_handle.unwrap_or_default(),
                        lite_topic: None,
                    });
                }
                Some(ReceiveContent::Status(status)) => {
                    ensure!(status.code == i32::from(Code::Ok), "received {status:?}");
                }
                _ => {}
            }
        }
        let request = AckMessageRequest {
            group: resource(&self.group),
            topic: resource(&self.topic),
            entries,
        };
        let call = Call::of(&request, Some(&present.client_id));
        let answer = present.caller.exchange("AckMessage", &call).await?;
        let answer: AckMessageResponse = only(answer)?;
        match answer.status {
            Some(status) if status.code == i32::from(Code::Ok) => Ok(bodies),
            status => bail!("acknowledged with {status:?}"),
        }
    }
}

/// The Java proxy refuses a poll without a deadline.
fn with_deadline(mut call: Call) -> Call {
    let deadline = HeaderValue::from_static("30S");
    call.headers.insert("grpc-timeout", deadline);
    call
}

fn messages(mut frames: Bytes) -> Result<Vec<ReceiveMessageResponse>> {
    let mut all = Vec::new();
    while frames.len() >= PREFIX {
        frames.advance(1);
        let length = usize::try_from(frames.get_u32())?;
        ensure!(frames.len() >= length, "a frame is cut off");
        all.push(ReceiveMessageResponse::decode(frames.split_to(length))?);
    }
    Ok(all)
}
