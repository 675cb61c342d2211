//! The shapes of load: how many connections, how many requests each has outstanding, and what they
//! ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grpc::proto::{
    Message, MessageType, Resource, SendMessageRequest, SystemProperties, Timestamp,
};
use remoting_codec::{RemotingCommand, SerializeType};
use serde_json::json;

use crate::load::{Call, Exchange, Load, Receiving, Sending, request};
use crate::requests::{PULLED_LEAST, pull, send};
use crate::stack::Target;

/// The topic that is sent to.
pub const SEND_TOPIC: &str = "MeasuredSends";
/// The topic that is pulled from.
pub const PULL_TOPIC: &str = "MeasuredPulls";
/// The topic that is received from.
pub const RECEIVED_TOPIC: &str = "MeasuredReceives";
/// How many messages of it each group can receive.
pub const RECEIVED: usize = 60_000;
/// Bytes of the body of each.
pub const RECEIVED_BODY: usize = 1024;
/// Queues of each.
pub const QUEUES: i32 = 8;

/// The body of most sends.
const SMALL: usize = 128;

/// Messages of a batch by HTTP.
pub const HTTP_BATCH: usize = 32;

/// Groups that pull by HTTP, at least. A connection changes to its next one before it has received
/// all messages.
const HTTP_GROUPS: usize = 8;

/// What a pull by HTTP asks for. Messages that are not acknowledged would be pulled again after a
/// minute, which is later than the end of any load.
const HTTP_PULL: &str = r#"{"max":32,"wait":"5s","invisible":"60s"}"#;

/// The request of Webdis that adds an entry: its value is the request's body. It keeps about the
/// newest 100,000, because Redis has them in memory.
const WEBDIS_PATH: &str = "/XADD/measured/MAXLEN/~/100000/*/body";

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// A message with a body of that size.
    Send(usize),
    /// 32 messages, 12 KB together.
    Pull,
    /// A message with a body of that size, by gRPC: outstanding requests are streams.
    GrpcSend(usize),
    /// 32 messages of 1 KB, and their acknowledgement, by gRPC: outstanding requests are streams.
    GrpcReceive,
    /// A message with a body of that size, by HTTP/1.1.
    HttpSend(usize),
    /// [`HTTP_BATCH`] messages with bodies of that size in one request, by HTTP/1.1.
    HttpBatch(usize),
    /// A pull of 32 messages of 1 KB, and one acknowledgement of all, by HTTP/1.1.
    HttpReceive,
    /// An entry with a value of that size, to Webdis.
    WebdisSend(usize),
}

/// A shape.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What is asked.
    pub work: Work,
    /// Connections.
    pub connections: usize,
    /// Requests that each has outstanding.
    pub outstanding: usize,
    /// How headers are written.
    pub serialize_type: SerializeType,
    /// Topics that messages go to, in turn.
    pub topics: usize,
}

impl Shape {
    /// A shape with JSON headers and one topic.
    #[must_use]
    pub fn new(work: Work, connections: usize, outstanding: usize) -> Self {
        Self {
            work,
            connections,
            outstanding,
            serialize_type: SerializeType::Json,
            topics: 1,
        }
    }

    /// The same connections with other work.
    #[must_use]
    pub fn with(&self, work: Work) -> Self {
        Self {
            work,
            ..self.clone()
        }
    }

    /// Whether it sends messages of the usual size.
    #[must_use]
    pub fn is_small_send(&self) -> bool {
        self.work == Work::Send(SMALL)
    }

    /// Its name in the report.
    #[must_use]
    pub fn name(&self) -> String {
        let work = match self.work {
            Work::Send(_) => "send",
            Work::Pull => "pull",
            Work::GrpcSend(_) => "gRPC send",
            Work::GrpcReceive => "gRPC receive",
            Work::HttpSend(_) => "single send",
            Work::HttpBatch(_) => "batch of 32",
            Work::HttpReceive => "pull + ack of 32",
            Work::WebdisSend(_) => "Webdis send",
        };
        let mut name = format!("{work} {}×{}", self.connections, self.outstanding);
        if let Work::Send(body) = self.work
            && body != SMALL
        {
            name.push_str(&format!(", {} KB", body / 1024));
        }
        if self.topics > 1 {
            name.push_str(&format!(", {} topics", self.topics));
        }
        if self.serialize_type == SerializeType::RocketMq {
            name.push_str(", binary");
        }
        name
    }

    /// The load of this shape on that target, behind which these brokers stand.
    #[must_use]
    pub fn load(&self, target: &Target, brokers: &[String]) -> Load {
        let requests = brokers.iter().map(|broker| self.requests(broker));
        Load {
            addresses: target.addresses.clone(),
            connections: self.connections,
            outstanding: self.outstanding,
            requests: requests.collect(),
            hello: Vec::new(),
            call: self.call(),
            exchange: self.exchange(),
            receiving: self.receiving(brokers),
            tls: target.tls.clone(),
            least_body: match self.work {
                Work::Pull => PULLED_LEAST,
                _ => 0,
            },
        }
    }

    /// The call that is made, if it is one of gRPC.
    #[must_use]
    pub fn call(&self) -> Option<Arc<Call>> {
        let Work::GrpcSend(size) = self.work else {
            return None;
        };
        let message = Message {
            topic: Some(Resource {
                resource_namespace: String::new(),
                name: SEND_TOPIC.to_owned(),
            }),
            system_properties: Some(SystemProperties {
                message_id: "01A2B3C4D5E6F708091A2B3C4D5E6F7080".to_owned(),
                message_type: MessageType::Normal.into(),
                born_host: "benchmark".to_owned(),
                born_timestamp: Some(Timestamp::from_millis(1_763_720_000_000)),
                ..SystemProperties::default()
            }),
            body: vec![b'x'; size].into(),
            ..Message::default()
        };
        let request = SendMessageRequest {
            messages: vec![message],
        };
        Some(Call::send(&request, size))
    }

    /// What is asked, if that is by HTTP.
    #[must_use]
    pub fn exchange(&self) -> Option<Arc<Exchange>> {
        let topic = format!("/v1/topics/{SEND_TOPIC}");
        let text = |size| "x".repeat(size);
        let sending = |request, bodies, refusal| {
            Exchange::Send(Sending {
                request,
                bodies,
                refusal,
            })
        };
        let (bytes, json) = ("application/octet-stream", "application/json");
        Some(Arc::new(match self.work {
            Work::HttpSend(size) => {
                let (path, body) = (format!("{topic}/messages"), text(size));
                let request = request("POST", &path, bytes, body.as_bytes());
                sending(request, size, "\"error\":")
            }
            Work::HttpBatch(size) => {
                let messages = vec![json!({"body": text(size)}); HTTP_BATCH];
                let body = json!({ "messages": messages }).to_string();
                let path = format!("{topic}/messages:batch");
                let request = request("POST", &path, json, body.as_bytes());
                sending(request, HTTP_BATCH * size, "\"error\":")
            }
            Work::WebdisSend(size) => {
                let request = request("PUT", WEBDIS_PATH, bytes, text(size).as_bytes());
                sending(request, size, "[false")
            }
            Work::HttpReceive => Exchange::Receive {
                pull: HTTP_PULL,
                body: RECEIVED_BODY,
                enough: RECEIVED / 10 * 9,
            },
            Work::Send(_) | Work::Pull | Work::GrpcSend(_) | Work::GrpcReceive => return None,
        }))
    }

    /// Bytes of the body of one message, of the shapes of HTTP.
    #[must_use]
    pub fn message_size(&self) -> Option<usize> {
        match self.work {
            Work::HttpSend(size) | Work::HttpBatch(size) => Some(size),
            Work::HttpReceive => Some(RECEIVED_BODY),
            _ => None,
        }
    }

    /// What is received, if it is that: by groups that have received nothing yet.
    fn receiving(&self, brokers: &[String]) -> Option<Arc<Receiving>> {
        static GROUPS: AtomicUsize = AtomicUsize::new(0);
        let receives = matches!(self.work, Work::GrpcReceive | Work::HttpReceive);
        let broker = brokers.first().filter(|_| receives)?;
        let mut count = self.connections * self.outstanding;
        if self.work == Work::HttpReceive {
            // One connection receives all messages of a group within a long warm-up.
            count = count.max(HTTP_GROUPS);
        }
        let first = GROUPS.fetch_add(count, Ordering::Relaxed);
        let groups = first..first + count;
        Some(Arc::new(Receiving {
            topic: RECEIVED_TOPIC.to_owned(),
            broker: broker.clone(),
            groups: groups.map(|nth| format!("receivers-{nth}")).collect(),
        }))
    }

    fn requests(&self, broker: &str) -> Arc<[RemotingCommand]> {
        let count = QUEUES.max(i32::try_from(self.topics).unwrap_or(i32::MAX));
        (0..count)
            .map(|nth| match self.work {
                Work::Send(body) => {
                    let topic = topic(nth as usize % self.topics);
                    send(broker, &topic, nth % QUEUES, body, self.serialize_type)
                }
                _ => {
                    let queue = nth % QUEUES;
                    pull(broker, PULL_TOPIC, queue, "benchmark", self.serialize_type)
                }
            })
            .collect()
    }
}

/// The name of the nth topic that is sent to.
#[must_use]
pub fn topic(nth: usize) -> String {
    match nth {
        0 => SEND_TOPIC.to_owned(),
        _ => format!("{SEND_TOPIC}{nth}"),
    }
}

/// The sends of the usual size.
fn small_sends() -> impl Iterator<Item = Shape> {
    [(1, 1), (16, 1), (64, 1), (256, 1), (1000, 1), (16, 32)]
        .map(|(connections, outstanding)| Shape::new(Work::Send(SMALL), connections, outstanding))
        .into_iter()
}

fn pulls() -> impl Iterator<Item = Shape> {
    [(4, 1), (16, 4), (64, 1)]
        .map(|(connections, outstanding)| Shape::new(Work::Pull, connections, outstanding))
        .into_iter()
}

fn large_sends() -> impl Iterator<Item = Shape> {
    [4, 256]
        .map(|kib| Shape::new(Work::Send(kib * 1024), 16, 1))
        .into_iter()
}

fn binary(shape: Shape) -> Shape {
    Shape {
        serialize_type: SerializeType::RocketMq,
        ..shape
    }
}

/// What is measured on a real broker.
#[must_use]
pub fn on_broker() -> Vec<Shape> {
    let json = small_sends().chain(large_sends()).chain(pulls());
    json.chain(small_sends().chain(pulls()).map(binary))
        .collect()
}

/// What is measured on that many sinks.
#[must_use]
pub fn on_sinks(brokers: usize) -> Vec<Shape> {
    let many_topics = Shape {
        topics: 1000,
        ..Shape::new(Work::Send(SMALL), 64, 1)
    };
    let all = small_sends().chain(large_sends()).chain(pulls());
    match brokers {
        1 => all.chain([many_topics]).collect(),
        _ => small_sends()
            .filter(|shape| (16..=64).contains(&shape.connections))
            .collect(),
    }
}

/// What is measured of gRPC.
#[must_use]
pub fn of_grpc() -> Vec<Shape> {
    let sends = [(1, 1), (16, 1), (64, 1), (4, 64)];
    let receives = [(1, 1), (16, 1), (4, 4)];
    let of = |work, shapes: &[(usize, usize)]| -> Vec<Shape> {
        let shapes = shapes.iter();
        shapes
            .map(|(connections, streams)| Shape::new(work, *connections, *streams))
            .collect()
    };
    [
        of(Work::GrpcSend(SMALL), &sends),
        of(Work::GrpcReceive, &receives),
    ]
    .concat()
}

/// What is measured of HTTP.
#[must_use]
pub fn of_http() -> Vec<Shape> {
    let shapes = |work, connections: &[usize]| -> Vec<Shape> {
        let each = connections.iter();
        each.map(|connections| Shape::new(work, *connections, 1))
            .collect()
    };
    [
        shapes(Work::HttpSend(SMALL), &[1, 16, 64]),
        shapes(Work::HttpBatch(SMALL), &[1, 16]),
        shapes(Work::HttpReceive, &[1, 16]),
    ]
    .concat()
}
