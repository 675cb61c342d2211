//! What a worker counts of its gRPC clients' calls.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use messaging::MessageKind;
use messaging::metrics::TopicMetrics;
use remoting_transport::metrics::{Counter, Histogram};

use crate::proto::Code;
use crate::rpc::Rpc;

/// The label value of a call that is none of the service.
pub const OTHER: &str = "other";

/// The label value of a call that was cancelled, in RocketMQ's metrics too
/// (`RemotingMetricsConstant.RESULT_CANCELED`).
pub const CANCELLED: &str = "cancelled";

/// Codes with a label value of their own; all others are [`OTHER`].
pub const CODES: &[Code] = &[
    Code::Ok,
    Code::MultipleResults,
    Code::BadRequest,
    Code::InvalidReceiptHandle,
    Code::Unauthorized,
    Code::Forbidden,
    Code::MessageNotFound,
    Code::TopicNotFound,
    Code::ConsumerGroupNotFound,
    Code::TooManyRequests,
    Code::InternalServerError,
    Code::ProxyTimeout,
];

/// How a call ended, for its label.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// With an answer, whose status has that code (`Code` of the protocol).
    Answered(i32),
    /// With an error of the transport.
    Failed,
    /// Without an answer: the client has cancelled it or is gone.
    Cancelled,
}

/// A histogram that allocates at the first observation.
type Lazy = OnceLock<Box<Histogram>>;

/// One worker's metrics of calls and of their messages.
#[derive(Debug)]
pub struct GrpcMetrics {
    /// Messages by topic, of clients of all protocols.
    topics: Arc<TopicMetrics>,
    /// By call, then by how it ended: the codes, others, the failures, and what was cancelled.
    calls: Box<[Box<[Lazy]>]>,
    /// Messages that clients sent and brokers stored.
    pub sent: Counter,
    /// Messages that clients got.
    pub received: Counter,
    /// Messages that were given back because their client did not take them.
    pub given_back: Counter,
    /// ReceiveMessage calls in groups that have consumers of the remoting protocol.
    pub mixed: Counter,
    /// Calls that exceeded the threshold of the slow log.
    pub slow: Counter,
}

impl GrpcMetrics {
    /// Metrics that are all zero, beside those of messages.
    #[must_use]
    pub fn new(topics: Arc<TopicMetrics>) -> Self {
        let ends = || (0..CODES.len() + 3).map(|_| Lazy::new()).collect();
        Self {
            calls: (0..=Rpc::ALL.len()).map(|_| ends()).collect(),
            sent: Counter::default(),
            received: Counter::default(),
            given_back: Counter::default(),
            mixed: Counter::default(),
            slow: Counter::default(),
            topics,
        }
    }

    /// Counts messages of a topic that brokers have stored, each by its type and its bytes.
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

    /// Counts a call; none if it is none of the service.
    pub(crate) fn ended(&self, rpc: Option<Rpc>, ended: Ended, time: Duration) {
        if cfg!(uncounted) {
            return;
        }
        let at = rpc.map_or(Rpc::ALL.len(), |rpc| rpc as usize);
        let end = match ended {
            Ended::Answered(code) => {
                let mut codes = CODES.iter();
                let known = codes.position(|known| i32::from(*known) == code);
                known.unwrap_or(CODES.len())
            }
            Ended::Failed => CODES.len() + 1,
            Ended::Cancelled => CODES.len() + 2,
        };
        if let Some(lazy) = self.calls.get(at).and_then(|ends| ends.get(end)) {
            lazy.get_or_init(|| Box::new(Histogram::of_durations()))
                .observe_duration(time);
        }
    }

    /// Visits the calls: the name, how they ended, and the time that they took.
    pub fn visit(&self, mut each: impl FnMut(&'static str, &'static str, &Histogram)) {
        for (at, ends) in self.calls.iter().enumerate() {
            let name = Rpc::ALL.get(at).map_or(OTHER, |rpc| rpc.name());
            for (end, lazy) in ends.iter().enumerate() {
                let label = match CODES.get(end) {
                    Some(code) => code.name(),
                    None if end == CODES.len() => OTHER,
                    None if end == CODES.len() + 1 => "transport_error",
                    None => CANCELLED,
                };
                if let Some(histogram) = lazy.get() {
                    each(name, label, histogram);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use messaging::metrics::Labels;

    use super::*;

    fn metrics() -> GrpcMetrics {
        let labels = |of: fn(&[String]) -> Labels, name: &str| Arc::new(of(&[name.to_owned()]));
        let topics = labels(Labels::of_topics, "orders");
        let groups = labels(Labels::of_groups, "billing");
        GrpcMetrics::new(Arc::new(TopicMetrics::new(topics, groups)))
    }

    #[test]
    fn messages_count_by_topic_type_and_group() {
        let metrics = metrics();
        let sent = [
            (MessageKind::Normal, 100),
            (MessageKind::Fifo, 20),
            (MessageKind::Priority, 3),
        ];
        metrics.stored("orders", sent.into_iter());
        metrics.stored("unknown", [(MessageKind::Transaction, 7)].into_iter());
        let mut seen = Vec::new();
        metrics.topics.visit_sent(|(topic, _), kind, flow, _| {
            seen.push((
                topic.to_owned(),
                kind,
                flow.messages.get(),
                flow.bytes.get(),
            ));
        });
        let row = |topic: &str, kind, messages, bytes| (topic.to_owned(), kind, messages, bytes);
        let expected = [
            row("other", "transaction", 1, 7),
            row("orders", "normal", 2, 103),
            row("orders", "fifo", 1, 20),
        ];
        assert_eq!(seen, expected);
        metrics.delivered("orders", "billing", 2, 300);
        metrics.delivered("orders", "unknown", 1, 10);
        metrics.delivered("orders", "unknown", 0, 0);
        let mut seen = Vec::new();
        metrics.topics.visit_pulled(|(topic, _), (group, _), flow| {
            let counts = (flow.messages.get(), flow.bytes.get());
            seen.push((topic.to_owned(), group.to_owned(), counts));
        });
        let row = |group: &str, counts| ("orders".to_owned(), group.to_owned(), counts);
        assert_eq!(seen, [row("other", (1, 10)), row("billing", (2, 300))]);
        assert_eq!((metrics.sent.get(), metrics.received.get()), (4, 3));
    }

    #[test]
    fn calls_count_by_name_and_end() {
        let metrics = metrics();
        let time = Duration::from_millis(1);
        metrics.ended(Some(Rpc::SendMessage), Ended::Answered(20000), time);
        metrics.ended(Some(Rpc::SendMessage), Ended::Answered(40007), time);
        metrics.ended(Some(Rpc::ReceiveMessage), Ended::Cancelled, time);
        metrics.ended(None, Ended::Failed, time);
        let mut seen = Vec::new();
        metrics.visit(|name, end, _| seen.push((name, end)));
        let expected = [
            ("ReceiveMessage", CANCELLED),
            ("SendMessage", "OK"),
            ("SendMessage", OTHER),
            (OTHER, "transport_error"),
        ];
        assert_eq!(seen, expected);
    }
}
