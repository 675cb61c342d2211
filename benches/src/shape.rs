//! The shapes of load: how many connections, how many requests each has outstanding, and what they
//! ask.

use std::sync::Arc;

use remoting_codec::{RemotingCommand, SerializeType};

use crate::load::Load;
use crate::requests::{PULLED_LEAST, pull, send};
use crate::stack::Target;

/// The topic that is sent to.
pub const SEND_TOPIC: &str = "MeasuredSends";
/// The topic that is pulled from.
pub const PULL_TOPIC: &str = "MeasuredPulls";
/// Queues of both.
pub const QUEUES: i32 = 8;

/// The body of most sends.
const SMALL: usize = 128;

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// A message with a body of that size.
    Send(usize),
    /// 32 messages, 12 KB together.
    Pull,
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

    /// Whether it sends messages of the usual size.
    #[must_use]
    pub fn is_small_send(&self) -> bool {
        self.work == Work::Send(SMALL)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        let work = match self.work {
            Work::Send(_) => "send",
            Work::Pull => "pull",
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
            tls: target.tls.clone(),
            least_body: match self.work {
                Work::Send(_) => 0,
                Work::Pull => PULLED_LEAST,
            },
        }
    }

    fn requests(&self, broker: &str) -> Arc<[RemotingCommand]> {
        let count = QUEUES.max(i32::try_from(self.topics).unwrap_or(i32::MAX));
        (0..count)
            .map(|nth| match self.work {
                Work::Send(body) => {
                    let topic = topic(nth as usize % self.topics);
                    send(broker, &topic, nth % QUEUES, body, self.serialize_type)
                }
                Work::Pull => {
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
