//! The answer to a POP, and what it has of each of its messages.

use remoting_codec::headers::{Header as _, PopLiteMessageResponse, PopMessageResponse};
use remoting_codec::message::{PopOffsets, Receipt, StoredMessage, StoredMessages, property};
use remoting_codec::{FieldError, UpstreamView};

/// The answer to a POP, of lite topics or others.
#[derive(Clone, Copy, Debug)]
pub enum PopAnswer<'a> {
    /// Of a topic's queues.
    Queues(PopMessageResponse<'a>),
    /// Of lite topics.
    Lite(PopLiteMessageResponse<'a>),
}

/// What the answer to a POP has of one of its messages.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PoppedMessage {
    /// What the message is acknowledged with: the broker's own receipt, with the message's place in
    /// the commit log behind it, by which the message can be made a dead letter.
    pub handle: String,
    /// How often it was consumed in vain, where the answer's header has it: of an orderly POP.
    pub reconsume_times: Option<i32>,
    /// Its place in its lite topic, if it is of one.
    pub lite_offset: Option<i64>,
}

impl PoppedMessage {
    /// Which attempt to consume the message this is: 1 for the first.
    #[must_use]
    pub fn attempt(&self, message: &StoredMessage<'_>) -> i32 {
        let times = self.reconsume_times.unwrap_or(message.reconsume_times);
        times.saturating_add(1)
    }
}

impl<'a> PopAnswer<'a> {
    /// Reads the answer's fields.
    ///
    /// # Errors
    /// When one is missing or malformed.
    pub fn read(view: &'a UpstreamView<'_>, is_lite: bool) -> Result<Self, FieldError> {
        let fields = view.ext_fields();
        Ok(match is_lite {
            true => Self::Lite(with_counts_of_all(
                PopLiteMessageResponse::read(fields)?,
                StoredMessages::new(view.body()).flatten().count(),
            )),
            false => Self::Queues(PopMessageResponse::read(fields)?),
        })
    }

    /// When the messages were popped: milliseconds since 1970, by the broker's clock.
    #[must_use]
    pub fn pop_time(&self) -> i64 {
        match self {
            Self::Queues(answer) => answer.pop_time,
            Self::Lite(answer) => answer.pop_time,
        }
    }

    /// Of the answer's message of that number, which was popped from that broker.
    ///
    /// `None` when neither message nor answer has what it can be acknowledged with.
    #[must_use]
    pub fn message(
        &self,
        nth: usize,
        message: &StoredMessage<'_>,
        broker: &str,
    ) -> Option<PoppedMessage> {
        match self {
            Self::Queues(answer) => of_queue(message, answer, broker),
            Self::Lite(answer) => of_lite_topic(nth, message, answer, broker),
        }
    }
}

/// Of a message of a topic's queue. The receipt in the message precedes that of the answer.
fn of_queue(
    message: &StoredMessage<'_>,
    answer: &PopMessageResponse<'_>,
    broker: &str,
) -> Option<PoppedMessage> {
    let own = message.properties.get(property::POP_CK);
    let own = own.as_deref().and_then(|own| Receipt::parse(own).ok());
    let receipt = match own {
        Some(own) => own,
        None => Receipt::of_popped(message, answer, broker)?,
    };
    let handle = Receipt {
        queue_offset: receipt.queue_offset.or(Some(message.queue_offset)),
        commit_log_offset: Some(message.commit_log_offset),
        ..receipt
    };
    let counts = answer.order_count_info.map(|counts| counts.text());
    let offsets = PopOffsets {
        counts: counts.as_deref().unwrap_or_default(),
        ..PopOffsets::default()
    };
    Some(PoppedMessage {
        handle: handle.to_string(),
        reconsume_times: offsets.count_of(receipt.mark, message.queue_id, message.queue_offset),
        lite_offset: None,
    })
}

/// Of the message of that number in an answer of lite topics.
fn of_lite_topic(
    nth: usize,
    message: &StoredMessage<'_>,
    answer: &PopLiteMessageResponse<'_>,
    broker: &str,
) -> Option<PoppedMessage> {
    let receipt = Receipt {
        commit_log_offset: Some(message.commit_log_offset),
        ..Receipt::of_lite(message, answer, broker)?
    };
    let counts = answer.order_count_info.map(|counts| counts.text());
    let count = counts
        .as_deref()
        .and_then(|counts| counts.split(';').nth(nth));
    Some(PoppedMessage {
        handle: receipt.to_string(),
        reconsume_times: count.and_then(|count| lite_count(count, receipt.queue_offset)),
        lite_offset: receipt.queue_offset,
    })
}

/// The answer without counts, if there is not one for each message: brokers leave out some, and do
/// not say of which messages (`ExtraInfoUtil.parseLiteOrderCountInfo`).
fn with_counts_of_all<'a>(
    answer: PopLiteMessageResponse<'a>,
    messages: usize,
) -> PopLiteMessageResponse<'a> {
    let counts = answer.order_count_info;
    PopLiteMessageResponse {
        order_count_info: counts.filter(|text| text.text().split(';').count() == messages),
        ..answer
    }
}

/// A count of an answer of lite topics, if it is of the message at that offset: the number alone,
/// or behind the queue and the offset.
fn lite_count(entry: &str, offset: Option<i64>) -> Option<i32> {
    let of = entry
        .split_once('%')
        .and_then(|(_, rest)| rest.split_once(' '));
    let (of, count) = match of {
        Some((of, count)) => (Some(of.parse().ok()?), count),
        None => (offset, entry.rsplit(' ').next()?),
    };
    count.parse().ok().filter(|_| of == offset)
}

#[cfg(test)]
mod tests {
    use remoting_codec::message::{PropertiesBuf, StoredVersion, SysFlag};

    use super::*;

    fn stored<'a>(topic: &'a str, properties: &'a PropertiesBuf) -> StoredMessage<'a> {
        let host = "10.0.0.9:50123".parse().unwrap();
        StoredMessage {
            version: StoredVersion::V1,
            body_crc: 0,
            queue_id: 2,
            flag: 0,
            queue_offset: 105,
            commit_log_offset: 4711,
            sys_flag: SysFlag(0),
            born_time: 0,
            born_host: host,
            store_time: 0,
            store_host: host,
            reconsume_times: 2,
            prepared_transaction_offset: 0,
            body: b"body",
            topic,
            properties: properties.as_properties(),
        }
    }

    fn buf(properties: &[(&str, &str)]) -> PropertiesBuf {
        let mut buf = PropertiesBuf::new();
        for (name, value) in properties {
            buf.push(name, value).unwrap();
        }
        buf
    }

    #[test]
    fn handles_are_the_brokers_own() {
        let answer = PopMessageResponse {
            pop_time: 1_700_000_000_000,
            invisible_time: 60_000,
            revive_queue: 3,
            rest_num: 0,
            start_offset_info: Some("0 2 100;1 2 90".into()),
            msg_offset_info: None,
            order_count_info: Some("0 qo2%105 4".into()),
        };
        let none = PropertiesBuf::new();
        let own = buf(&[("POP_CK", "7 1600000000000 1000 4 1 broker-b 0 9")]);
        let broken = buf(&[("POP_CK", "x")]);
        let of_answer = "100 1700000000000 60000 3 0 broker-a 2 105 4711";
        let of_retry = "90 1700000000000 60000 3 1 broker-a 2 105 4711";
        let of_message = "7 1600000000000 1000 4 1 broker-b 0 9 4711";
        for (topic, properties, handle, times) in [
            ("T", &none, of_answer, Some(4)),
            ("T", &broken, of_answer, Some(4)),
            ("%RETRY%G_T", &none, of_retry, None),
            ("T", &own, of_message, None),
        ] {
            let message = stored(topic, properties);
            let popped = PopAnswer::Queues(answer).message(0, &message, "broker-a");
            let expected = PoppedMessage {
                handle: handle.to_owned(),
                reconsume_times: times,
                lite_offset: None,
            };
            assert_eq!(popped, Some(expected));
        }
        let unknown = PopAnswer::Queues(PopMessageResponse {
            start_offset_info: None,
            ..answer
        });
        assert_eq!(unknown.message(0, &stored("T", &none), "broker-a"), None);
    }

    #[test]
    fn a_message_of_a_lite_topic_carries_its_own_place() {
        let answer = PopAnswer::Lite(PopLiteMessageResponse {
            pop_time: 1_700_000_000_000,
            invisible_time: 60_000,
            revive_queue: 999,
            order_count_info: Some("0;2;0 qo0%17 4;0 qo0%18 9".into()),
        });
        let lite = buf(&[
            ("__LITE_TOPIC", "red"),
            ("INNER_MULTI_DISPATCH", "%LMQ%$T$red"),
            ("INNER_MULTI_QUEUE_OFFSET", "17"),
        ]);
        // Another message's count is not this one's.
        for (nth, times) in [
            (0, Some(0)),
            (1, Some(2)),
            (2, Some(4)),
            (3, None),
            (4, None),
        ] {
            let message = stored("T", &lite);
            let expected = PoppedMessage {
                handle: "0 1700000000000 60000 999 0 broker-a 0 17 4711".to_owned(),
                reconsume_times: times,
                lite_offset: Some(17),
            };
            let popped = answer.message(nth, &message, "broker-a");
            assert_eq!(popped, Some(expected), "{nth}");
        }
        let two = buf(&[("INNER_MULTI_QUEUE_OFFSET", "17,18")]);
        for other in [&two, &PropertiesBuf::new()] {
            let message = stored("T", other);
            assert_eq!(answer.message(0, &message, "broker-a"), None);
        }
    }

    #[test]
    fn counts_of_lite_topics_are_those_of_all_messages_or_none() {
        let answer = |counts: &'static str| PopLiteMessageResponse {
            pop_time: 0,
            invisible_time: 0,
            revive_queue: 999,
            order_count_info: Some(counts.into()),
        };
        let text = "0 qo0%100 1;0 qo0%7 17";
        let kept = |messages| with_counts_of_all(answer(text), messages).order_count_info;
        assert!(kept(2).is_some());
        assert!(kept(3).is_none());
    }
}
