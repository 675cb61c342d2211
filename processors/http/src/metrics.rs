//! What a worker counts of requests.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use messaging::MessageKind;
use messaging::metrics::{CheckMetrics, RequestMetrics, TopicMetrics};
use remoting_transport::metrics::{Counter, Gauge, Histogram};

use crate::json;

macro_rules! operations {
    ($($(#[$doc:meta])* $operation:ident = $name:literal $waits:literal;)*) => {
        /// What a request asks for, as metrics and logs name it: the face before the dot.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Operation {
            $($(#[$doc])* $operation,)*
        }

        impl Operation {
            /// All operations; `operation as usize` is the index of each.
            pub const ALL: &'static [Self] = &[$(Self::$operation),*];

            /// Its name, as metrics have it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$operation => $name,)*
                }
            }

            /// Whether it waits for something to happen, so that its time says nothing.
            #[must_use]
            pub fn waits(self) -> bool {
                match self {
                    $(Self::$operation => $waits,)*
                }
            }
        }
    };
}

operations! {
    /// Of the SDKs: publishes a message.
    SdkPublish = "sdk.publish" false;
    /// Of the SDKs: consumes messages, half messages among them.
    SdkConsume = "sdk.consume" true;
    /// Of the SDKs: acknowledges messages, or commits or rolls back a transaction.
    SdkAcknowledge = "sdk.acknowledge" false;
    /// Sends a message.
    JsonSend = "json.send" false;
    /// Sends several messages.
    JsonSendBatch = "json.sendBatch" false;
    /// Pulls messages.
    JsonPull = "json.pull" true;
    /// Settles messages that were pulled.
    JsonSettle = "json.settle" false;
    /// Acknowledges one message.
    JsonAcknowledge = "json.acknowledge" false;
    /// Streams messages.
    JsonEvents = "json.events" true;
    /// Commits a transaction.
    JsonCommit = "json.commit" false;
    /// Rolls a transaction back.
    JsonRollback = "json.rollback" false;
    /// Polls for transactions to decide.
    JsonCheck = "json.check" true;
    /// Recalls a delayed message.
    JsonRecall = "json.recall" false;
    /// Sends a request and waits for its reply.
    JsonRequest = "json.request" true;
    /// Replies to a request.
    JsonReply = "json.reply" false;
    /// Describes a topic.
    JsonDescribe = "json.describe" false;
    /// The description of the API.
    JsonDocument = "json.document" false;
    /// OPTIONS, of any path.
    Options = "options" false;
    /// A path or a method that there is none of.
    Other = "other" false;
}

impl Operation {
    /// That of the JSON API.
    pub(crate) fn of(operation: &json::Operation) -> Self {
        match operation {
            json::Operation::Send { .. } => Self::JsonSend,
            json::Operation::SendBatch { .. } => Self::JsonSendBatch,
            json::Operation::Pull { .. } => Self::JsonPull,
            json::Operation::Settle { .. } => Self::JsonSettle,
            json::Operation::Acknowledge { .. } => Self::JsonAcknowledge,
            json::Operation::Events { .. } => Self::JsonEvents,
            json::Operation::Commit { .. } => Self::JsonCommit,
            json::Operation::Rollback { .. } => Self::JsonRollback,
            json::Operation::Check { .. } => Self::JsonCheck,
            json::Operation::Recall { .. } => Self::JsonRecall,
            json::Operation::Request { .. } => Self::JsonRequest,
            json::Operation::Reply { .. } => Self::JsonReply,
            json::Operation::Describe { .. } => Self::JsonDescribe,
            json::Operation::Document => Self::JsonDocument,
        }
    }
}

/// How a request ended: the classes of statuses, and a client that has not waited for its answer.
pub const ENDS: &[&str] = &["1xx", "2xx", "3xx", "4xx", "5xx", CANCELLED];

/// The label value of a request that its client has cancelled.
pub const CANCELLED: &str = "cancelled";

/// A histogram that allocates at the first observation.
type Lazy = OnceLock<Box<Histogram>>;

/// One worker's metrics of requests.
#[derive(Debug)]
pub struct HttpMetrics {
    /// By operation, then by how it ended.
    requests: Box<[Box<[Lazy]>]>,
    /// Messages by topic, of clients of all protocols.
    topics: Arc<TopicMetrics>,
    /// Requests that are not answered yet.
    pub in_flight: Gauge,
    /// Checks of transactions.
    pub checks: Arc<CheckMetrics>,
    /// Replies to requests.
    pub replies: Arc<RequestMetrics>,
    /// Messages that clients sent and brokers stored.
    pub sent: Counter,
    /// Messages that clients got.
    pub received: Counter,
    /// Messages that were given back because their client did not take them.
    pub given_back: Counter,
    /// Requests for messages in groups that have consumers of the remoting protocol.
    pub mixed: Counter,
    /// Requests that exceeded the threshold of the slow log.
    pub slow: Counter,
}

impl HttpMetrics {
    /// Metrics that are all zero, beside those of messages.
    #[must_use]
    pub fn new(topics: Arc<TopicMetrics>) -> Self {
        let ends = || ENDS.iter().map(|_| Lazy::new()).collect();
        Self {
            requests: Operation::ALL.iter().map(|_| ends()).collect(),
            topics,
            in_flight: Gauge::default(),
            checks: Arc::default(),
            replies: Arc::default(),
            sent: Counter::default(),
            received: Counter::default(),
            given_back: Counter::default(),
            mixed: Counter::default(),
            slow: Counter::default(),
        }
    }

    /// Counts messages of a topic that brokers have stored, each by its kind and its bytes.
    pub(crate) fn stored(&self, topic: &str, messages: impl Iterator<Item = (MessageKind, usize)>) {
        if cfg!(uncounted) {
            return;
        }
        self.sent.add(self.topics.count_stored(topic, messages));
    }

    /// Counts messages of a topic that a client in that group has got.
    pub(crate) fn delivered(&self, topic: &str, group: &str, messages: usize, bytes: usize) {
        if cfg!(uncounted) || messages == 0 {
            return;
        }
        let (messages, bytes) = (messages as u64, bytes as u64);
        self.topics.count_delivered(topic, group, messages, bytes);
        self.received.add(messages);
    }

    /// Counts a request; `None` if its client has not waited for the answer.
    pub(crate) fn ended(&self, operation: Operation, status: Option<StatusCode>, time: Duration) {
        if cfg!(uncounted) {
            return;
        }
        let end = status.map_or(ENDS.len() - 1, |status| {
            usize::from(status.as_u16() / 100) - 1
        });
        let ends = self.requests.get(operation as usize);
        if let Some(lazy) = ends.and_then(|ends| ends.get(end)) {
            lazy.get_or_init(|| Box::new(Histogram::of_durations()))
                .observe_duration(time);
        }
    }

    /// Visits the requests: the operation, how they ended, and the time that they took.
    pub fn visit(&self, mut each: impl FnMut(Operation, &'static str, &Histogram)) {
        for (operation, ends) in Operation::ALL.iter().zip(&self.requests) {
            for (end, lazy) in ENDS.iter().zip(ends) {
                if let Some(histogram) = lazy.get() {
                    each(*operation, end, histogram);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use messaging::metrics::Labels;

    use super::*;

    fn metrics() -> HttpMetrics {
        let labels = |of: fn(&[String]) -> Labels, name: &str| Arc::new(of(&[name.to_owned()]));
        let topics = labels(Labels::of_topics, "orders");
        let groups = labels(Labels::of_groups, "billing");
        HttpMetrics::new(Arc::new(TopicMetrics::new(topics, groups)))
    }

    #[test]
    fn messages_count() {
        let metrics = metrics();
        metrics.stored("orders", [(MessageKind::Normal, 100)].into_iter());
        metrics.delivered("orders", "billing", 2, 10);
        metrics.delivered("orders", "billing", 0, 0);
        assert_eq!((metrics.sent.get(), metrics.received.get()), (1, 2));
    }

    #[test]
    fn requests_count_by_operation_and_class() {
        let metrics = metrics();
        let time = Duration::from_millis(1);
        metrics.ended(Operation::JsonSend, Some(StatusCode::CREATED), time);
        metrics.ended(Operation::JsonSend, Some(StatusCode::OK), time);
        metrics.ended(Operation::SdkConsume, None, time);
        metrics.ended(Operation::Other, Some(StatusCode::NOT_FOUND), time);
        let mut seen = Vec::new();
        metrics.visit(|operation, end, times| {
            let count: u64 = times.snapshot().counts.iter().sum();
            seen.push((operation.name(), end, count));
        });
        let expected = [
            ("sdk.consume", CANCELLED, 1),
            ("json.send", "2xx", 2),
            ("other", "4xx", 1),
        ];
        assert_eq!(seen, expected);
    }
}
