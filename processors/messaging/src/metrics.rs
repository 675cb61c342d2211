//! What a worker counts of messages, by topic and group, whatever protocol their clients speak.

mod labels;

use std::sync::{Arc, OnceLock};

use remoting_transport::metrics::{Counter, Histogram};

use crate::kind::MessageKind;

pub use labels::{Labels, OTHER};

/// Bounds of message sizes in bytes: RocketMQ's own (`BrokerMetricsManager`).
pub const SIZES: &[u64] = &[
    1024,
    4 * 1024,
    512 * 1024,
    1024 * 1024,
    2 * 1024 * 1024,
    4 * 1024 * 1024,
];

/// The types of messages, by the names in RocketMQ's metrics (`TopicMessageType`).
pub const MESSAGE_TYPES: [&str; 4] = ["normal", "fifo", "delay", "transaction"];

/// The messages of one topic and type, or of one topic and group.
#[derive(Debug, Default)]
pub struct Flow {
    /// The number of messages, those of a batch counted singly.
    pub messages: Counter,
    /// The length of their bodies, in bytes; of messages handed out, that of the answers' parts
    /// that hold them.
    pub bytes: Counter,
}

/// What a worker counts of requests that are replied to.
#[derive(Debug, Default)]
pub struct RequestMetrics {
    /// Replies that a request has waited for.
    pub replies: Counter,
    /// Replies that were dropped, because no request waited for them any more.
    pub late: Counter,
    /// Requests that have waited in vain.
    pub unanswered: Counter,
}

/// What a worker counts of checks of transactions that clients poll.
#[derive(Debug, Default)]
pub struct CheckMetrics {
    /// Checks that brokers have sent.
    pub arrived: Counter,
    /// Checks that a client got.
    pub handed_out: Counter,
    /// Checks that no client got: brokers send them again.
    pub dropped: Counter,
}

/// A histogram that allocates at the first observation.
type Lazy = OnceLock<Box<Histogram>>;

/// Messages by topic, type and group.
#[derive(Debug)]
pub struct TopicMetrics {
    topics: Arc<Labels>,
    groups: Arc<Labels>,
    /// Sent messages, by topic and type.
    sent: Box<[Flow]>,
    sizes: Box<[Lazy]>,
    /// Messages handed out, by topic and group.
    pulled: Box<[Flow]>,
}

impl TopicMetrics {
    /// Metrics that are all zero.
    #[must_use]
    pub fn new(topics: Arc<Labels>, groups: Arc<Labels>) -> Self {
        let types = topics.len() * MESSAGE_TYPES.len();
        let pulls = topics.len() * groups.len();
        Self {
            sent: (0..types).map(|_| Flow::default()).collect(),
            sizes: (0..types).map(|_| Lazy::new()).collect(),
            pulled: (0..pulls).map(|_| Flow::default()).collect(),
            topics,
            groups,
        }
    }

    /// The topics that have label values.
    #[must_use]
    pub fn topics(&self) -> &Labels {
        &self.topics
    }

    /// The groups that have label values.
    #[must_use]
    pub fn groups(&self) -> &Labels {
        &self.groups
    }

    /// Counts messages of a request that a broker has stored: the topic's number, the index of
    /// their type in [`MESSAGE_TYPES`], how many they are, and their bytes.
    #[inline]
    pub fn count_sent(&self, topic: usize, message_type: usize, messages: u64, bytes: u64) {
        let at = topic * MESSAGE_TYPES.len() + message_type;
        if let (Some(flow), Some(sizes)) = (self.sent.get(at), self.sizes.get(at)) {
            flow.messages.add(messages);
            flow.bytes.add(bytes);
            sizes
                .get_or_init(|| Box::new(Histogram::new(SIZES)))
                .observe(bytes);
        }
    }

    /// Counts messages that were handed to a consumer: the numbers of topic and group, how many
    /// they are, and their bytes.
    #[inline]
    pub fn count_pulled(&self, topic: usize, group: usize, messages: u64, bytes: u64) {
        let at = topic * self.groups.len() + group;
        if let Some(flow) = self.pulled.get(at) {
            flow.messages.add(messages);
            flow.bytes.add(bytes);
        }
    }

    /// Counts messages of a topic that a broker has stored, each by its kind and the length of its
    /// body in bytes; returns how many they are.
    pub fn count_stored(
        &self,
        topic: &str,
        messages: impl Iterator<Item = (MessageKind, usize)>,
    ) -> u64 {
        let (mut number, mut count) = (None, 0);
        for (kind, bytes) in messages {
            let number = *number.get_or_insert_with(|| usize::from(self.topics.number(topic)));
            self.count_sent(number, place(kind), 1, bytes as u64);
            count += 1;
        }
        count
    }

    /// Counts messages of a topic that a consumer in that group has got.
    pub fn count_delivered(&self, topic: &str, group: &str, messages: u64, bytes: u64) {
        let (topic, group) = (self.topics.number(topic), self.groups.number(group));
        self.count_pulled(topic.into(), group.into(), messages, bytes);
    }

    /// Visits the sent messages: the topic and whether it is RocketMQ's own, the type, the flow,
    /// and the sizes.
    pub fn visit_sent(&self, mut each: impl FnMut((&str, bool), &'static str, &Flow, &Histogram)) {
        let types = MESSAGE_TYPES.iter();
        let labels = self
            .topics
            .values()
            .flat_map(|topic| types.clone().map(move |kind| (topic, *kind)));
        for ((topic, kind), (flow, sizes)) in labels.zip(self.sent.iter().zip(&self.sizes)) {
            if let Some(sizes) = sizes.get() {
                each(topic, kind, flow, sizes);
            }
        }
    }

    /// Visits the messages handed out: the topic and the group, each with whether it is RocketMQ's
    /// own, and the flow.
    pub fn visit_pulled(&self, mut each: impl FnMut((&str, bool), (&str, bool), &Flow)) {
        let labels = self
            .topics
            .values()
            .flat_map(|topic| self.groups.values().map(move |group| (topic, group)));
        for ((topic, group), flow) in labels.zip(&self.pulled) {
            if flow.messages.get() > 0 {
                each(topic, group, flow);
            }
        }
    }
}

/// The place of a message's kind among those that RocketMQ's metrics have.
fn place(kind: MessageKind) -> usize {
    let name = match kind {
        MessageKind::Fifo => "fifo",
        MessageKind::Delay => "delay",
        MessageKind::Transaction => "transaction",
        _ => "normal",
    };
    let mut names = MESSAGE_TYPES.iter();
    names.position(|known| *known == name).unwrap_or_default()
}
