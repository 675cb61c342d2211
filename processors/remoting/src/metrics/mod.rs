//! The metrics of a worker about its clients' requests.

mod limit;
mod tag;

use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use memchr::memchr_iter;
use memchr::memmem::Finder;
use remoting_codec::{CommandView, ExtValue, RequestCode, ResponseCode};
use remoting_transport::metrics::{Counter, Histogram};

use messaging::metrics::{Labels, OTHER, TopicMetrics};

use crate::table::{Row, TABLE};

pub use limit::Limit;
pub use tag::Tag;
use tag::Tagged;

/// Response codes that have a label value of their own; all others are "other".
pub const RESULTS: &[(ResponseCode, &str)] = ResponseCode::NAMED;

/// A histogram that allocates at the first observation.
type Lazy = OnceLock<Box<Histogram>>;

/// The answers to one request code, by result.
type Results = Box<[Lazy]>;

/// One worker's metrics of requests and messages.
#[derive(Debug)]
pub struct RequestMetrics {
    topics: Arc<TopicMetrics>,
    /// Answers of brokers, by row of the table; the last is for codes without a row.
    relayed: Box<[Results]>,
    /// Answers that Remora made.
    own: Box<[Results]>,
    limits: [Counter; Limit::ALL.len()],
    /// Requests that exceeded the threshold of the slow log.
    pub slow: Counter,
    /// Requests that were answered with GO_AWAY, so that the client connects elsewhere.
    pub go_away: Counter,
}

impl RequestMetrics {
    /// Metrics that are all zero, beside those of messages.
    #[must_use]
    pub fn new(topics: Arc<TopicMetrics>) -> Self {
        let results = || (0..=RESULTS.len()).map(|_| Lazy::new()).collect();
        let by_code = || (0..=TABLE.len()).map(|_| results()).collect();
        Self {
            relayed: by_code(),
            own: by_code(),
            limits: std::array::from_fn(|_| Counter::default()),
            slow: Counter::default(),
            go_away: Counter::default(),
            topics,
        }
    }

    /// Counts a hit of the limit.
    pub fn limit(&self, limit: Limit) {
        let at = Limit::ALL.iter().position(|(known, _)| *known == limit);
        if let Some(counter) = at.and_then(|at| self.limits.get(at)) {
            counter.add(1);
        }
    }

    /// The number of hits of each limit, with the limit's label value.
    pub fn limits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counted = self.limits.iter().map(Counter::get);
        Limit::ALL.iter().map(|(_, name)| *name).zip(counted)
    }

    /// Counts an answer, of a broker or of Remora.
    #[inline]
    pub(crate) fn answered(&self, code: RequestCode, result: i32, relayed: bool, time: Duration) {
        if cfg!(uncounted) {
            return;
        }
        let at = Row::place(code).unwrap_or(TABLE.len());
        let by_code = if relayed { &self.relayed } else { &self.own };
        let known = RESULTS.iter().position(|(known, _)| known.0 == result);
        let result = known.unwrap_or(RESULTS.len());
        if let Some(histogram) = by_code.get(at).and_then(|results| results.get(result)) {
            histogram
                .get_or_init(|| Box::new(Histogram::of_durations()))
                .observe_duration(time);
        }
    }

    /// The topic, type and size of a send, to be counted when it has succeeded.
    pub(crate) fn tag_send(
        &self,
        topic: Option<ExtValue<'_>>,
        message_type: usize,
        view: &CommandView<'_>,
    ) -> Tag {
        if cfg!(uncounted) {
            return Tag::default();
        }
        let body = view.body();
        let messages = match view.request_code() {
            RequestCode::SEND_BATCH_MESSAGE => count_messages(body),
            _ => 1,
        };
        Tag::send(
            number(self.topics.topics(), topic),
            message_type,
            messages,
            body.len(),
        )
    }

    /// The topic and group of a pull, to be counted when it has succeeded.
    pub(crate) fn tag_pull(&self, topic: Option<ExtValue<'_>>, group: Option<ExtValue<'_>>) -> Tag {
        if cfg!(uncounted) {
            return Tag::default();
        }
        Tag::pull(
            number(self.topics.topics(), topic),
            number(self.topics.groups(), group),
        )
    }

    /// Counts the messages of a request that was answered with success.
    #[inline]
    pub(crate) fn count(&self, tag: Tag, body: &[u8]) {
        match tag.read() {
            Tagged::Send {
                topic,
                message_type,
                messages,
                bytes,
            } => self.topics.count_sent(topic, message_type, messages, bytes),
            Tagged::Pull { topic, group } => {
                let (messages, bytes) = (count_messages(body) as u64, body.len() as u64);
                self.topics.count_pulled(topic, group, messages, bytes);
            }
            Tagged::Nothing => {}
        }
    }

    /// Visits the answers: the code (none for codes without a row), the result, whether a broker
    /// answered, and the time that it took.
    pub fn visit_answered(
        &self,
        mut each: impl FnMut(Option<&'static Row>, &'static str, bool, &Histogram),
    ) {
        for (by_code, relayed) in [(&self.relayed, true), (&self.own, false)] {
            for (at, results) in by_code.iter().enumerate() {
                for (result, histogram) in results.iter().enumerate() {
                    let result = RESULTS.get(result).map_or(OTHER, |(_, name)| name);
                    if let Some(histogram) = histogram.get() {
                        each(TABLE.get(at), result, relayed, histogram);
                    }
                }
            }
        }
    }
}

/// The number of the topic or group of a field; that of all others if the field is absent.
fn number(labels: &Labels, name: Option<ExtValue<'_>>) -> u16 {
    let name = name.map(|name| name.text()).unwrap_or_default();
    labels.number(&name)
}

/// The number of messages in a body. Each starts with its length (`MessageDecoder` in the
/// reference).
fn count_messages(mut body: &[u8]) -> usize {
    let mut count = 0;
    while let Some((length, _)) = body.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        match body.get(length..) {
            Some(rest) if length > 0 => body = rest,
            _ => break,
        }
        count += 1;
    }
    count
}

/// The type of a message by its properties, as in a broker's metrics
/// (`BrokerMetricsManager.getMessageType`): an index in `MESSAGE_TYPES`.
pub(crate) fn message_type(is_half: bool, properties: Option<ExtValue<'_>>) -> usize {
    if cfg!(uncounted) {
        return 0;
    }
    static DELAYING: LazyLock<[Finder<'static>; 5]> = LazyLock::new(|| {
        [
            "DELAY",
            "TIMER_DELIVER_MS",
            "TIMER_DELAY_SEC",
            "TIMER_DELAY_MS",
            "__STARTDELIVERTIME",
        ]
        .map(Finder::new)
    });
    let Some(properties) = properties.filter(|_| !is_half) else {
        return if is_half { 3 } else { 0 };
    };
    // All property names that decide the type contain a D, and most properties have few. This runs
    // for every message.
    let raw = properties.raw();
    let mut delays = false;
    for at in memchr_iter(b'D', raw) {
        match raw.get(at + 1..at + 3) {
            Some(b"EL") => delays = true,
            Some(b"IN") if is_sharding_key(raw, at) => return 1,
            _ => {}
        }
    }
    if delays && DELAYING.iter().any(|name| properties.contains(name)) {
        2
    } else {
        0
    }
}

/// Whether the D at that index belongs to the property of a message that must stay in order.
fn is_sharding_key(raw: &[u8], at: usize) -> bool {
    let (before, from) = raw.split_at(at);
    before.ends_with(b"__SHAR") && from.starts_with(b"DINGKEY")
}

#[cfg(test)]
mod tests {
    use messaging::metrics::MESSAGE_TYPES;

    use super::*;

    fn metrics() -> RequestMetrics {
        let topics = Labels::of_topics(&["orders".to_owned()]);
        let topics = TopicMetrics::new(Arc::new(topics), Arc::new(Labels::of_groups(&[])));
        RequestMetrics::new(Arc::new(topics))
    }

    #[test]
    fn sends_and_pulls_count_by_topic() {
        let metrics = metrics();
        metrics.count(Tag::send(2, 2, 5, 700), b"");
        metrics.count(Tag::send(0, 0, 1, 70_000), b"");
        metrics.count(Tag::send(1, 0, 1, 60), b"");
        let message = [&8_u32.to_be_bytes()[..], &[0; 4]].concat();
        metrics.count(Tag::pull(2, 0), &message.repeat(3));
        let mut sent = Vec::new();
        metrics
            .topics
            .visit_sent(|(topic, is_system), kind, flow, _| {
                sent.push((
                    topic.to_owned(),
                    is_system,
                    kind,
                    flow.messages.get(),
                    flow.bytes.get(),
                ));
            });
        assert_eq!(
            sent,
            [
                ("other".to_owned(), false, "normal", 1, 70_000),
                ("other".to_owned(), true, "normal", 1, 60),
                ("orders".to_owned(), false, "delay", 5, 700)
            ]
        );
        let mut pulled = Vec::new();
        metrics.topics.visit_pulled(|(topic, _), (group, _), flow| {
            pulled.push((topic.to_owned(), group.to_owned(), flow.messages.get()));
        });
        assert_eq!(pulled, [("orders".to_owned(), "other".to_owned(), 3)]);
    }

    #[test]
    fn a_messages_type_depends_on_its_properties() {
        for (properties, expected) in [
            ("", "normal"),
            (
                r"KEYS\u0001DELETED\u0002UNIQ_KEY\u0001ADDED\u0002",
                "normal",
            ),
            (r"TAGS\u0001D\u0002DELAY\u00013\u0002", "delay"),
            (r"TIMER_DELIVER_MS\u000117\u0002", "delay"),
            (r"__STARTDELIVERTIME\u000117\u0002", "delay"),
            (r"DELAY\u00013\u0002__SHARDINGKEY\u0001k\u0002", "fifo"),
            (r"__SHARDINGKEY\u0001k", "fifo"),
        ] {
            let header = format!(
                r#"{{"code":310,"flag":0,"language":"JAVA","opaque":1,"version":1,"extFields":{{"i":"{properties}"}}}}"#
            );
            let length = (header.len() as u32).to_be_bytes();
            let total = (header.len() as u32 + 4).to_be_bytes();
            let frame = [&total[..], &length, header.as_bytes()].concat();
            let view = CommandView::decode(&frame).unwrap();
            let found = message_type(false, view.ext_fields().value("i"));
            assert_eq!(MESSAGE_TYPES.get(found), Some(&expected), "{properties}");
            assert_eq!(message_type(true, view.ext_fields().value("i")), 3);
        }
    }

    #[test]
    fn a_body_that_is_no_messages_counts_what_it_can() {
        assert_eq!(count_messages(b""), 0);
        assert_eq!(count_messages(&[0; 64]), 0);
        assert_eq!(count_messages(&[0xff; 64]), 0);
    }
}
