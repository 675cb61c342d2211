//! Gives messages back that a broker has handed out for a POP and that no client will receive: they
//! are made visible again at once.
//!
//! Otherwise they would stay invisible to the group until their invisible time ends, because no
//! client would acknowledge them.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use remoting_codec::headers::{
    ChangeInvisibleTimeRequest, Header, PopLiteMessageResponse, Text, header,
};
use remoting_codec::message::{PopOffsets, Receipt, StoredMessages, property};
use remoting_codec::{RemotingCommand, RequestCode, UpstreamView};
use route_cache::{Connection, Upstream};

use crate::own::ask;

/// The timeout of the broker's answer.
const GIVE_BACK_TIME: Duration = Duration::from_secs(5);

/// How long a message that is given back stays invisible, in milliseconds.
const INVISIBLE_TIME: i64 = 1;

header! {
    /// The fields of the answer to a POP that its messages' receipts are made of
    /// (`PopMessageResponseHeader`).
    pub struct HandedOut<'a> {
        /// When the messages were popped: milliseconds since 1970, by the broker's clock.
        pop_time: i64 = "popTime",
        /// How long no other client gets the messages, in milliseconds.
        invisible_time: i64 = "invisibleTime",
        /// The broker's own queue that keeps the checkpoint.
        revive_queue: i32 = "reviveQid",
        /// The start offset of the POP in each queue.
        starts: Option<Text<'a>> = "startOffsetInfo",
        /// The offsets of the popped messages in each queue.
        messages: Option<Text<'a>> = "msgOffsetInfo",
    }
}

/// A POP, with all that is needed to give its messages back. It keeps nothing of the client, which
/// may have disconnected by then.
#[derive(Debug)]
pub struct Popping {
    upstream: Rc<Upstream>,
    connection: Rc<Connection>,
    topic: String,
    group: String,
    /// Whether it is of lite topics: each message of the answer has its own place then.
    is_lite: bool,
}

impl Popping {
    /// A POP of that group over that connection.
    #[must_use]
    pub fn new(
        upstream: Rc<Upstream>,
        connection: Rc<Connection>,
        topic: String,
        group: String,
    ) -> Self {
        Self {
            upstream,
            connection,
            topic,
            group,
            is_lite: false,
        }
    }

    /// The topic that the messages were sent to.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The consumer's group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The same of lite topics of the topic.
    #[must_use]
    pub fn of_lite_topics(self) -> Self {
        Self {
            is_lite: true,
            ..self
        }
    }

    /// Makes every message of a successful answer visible again, in separate tasks.
    pub fn give_back(&self, answer: &UpstreamView<'_>) {
        let broker = self.connection.broker_name().unwrap_or_default();
        let (topic, group) = (&self.topic, &self.group);
        let requests = match self.is_lite {
            true => requests_of_lite(answer, broker, topic, group),
            false => HandedOut::read(answer.ext_fields())
                .ok()
                .map(|answer| requests(&answer, broker, topic, group)),
        };
        let Some(requests) = requests else {
            tracing::debug!(
                broker,
                "an answer to a POP cannot be read: its messages stay invisible"
            );
            return;
        };
        for request in requests {
            self.send(request);
        }
    }

    /// Makes the message of a receipt visible again, in a separate task. If its client has got it,
    /// its next delivery counts as a retry, so that one that ends its consumers becomes a dead
    /// letter some time.
    ///
    /// Of a lite topic, it counts in any case: a broker that does not count makes all messages that
    /// were popped of the topic visible.
    pub fn give_back_one(&self, receipt: &Receipt<'_>, lite_topic: Option<&str>, was_got: bool) {
        if let Some(offset) = receipt.queue_offset {
            let message = Given {
                receipt,
                offset,
                lite_topic,
                counts: was_got || lite_topic.is_some(),
            };
            self.send(message.request(&self.topic, &self.group));
        }
    }

    fn send(&self, request: RemotingCommand) {
        let (upstream, connection) = (self.upstream.clone(), self.connection.clone());
        tokio::task::spawn_local(async move {
            let given = ask(&connection, upstream.config(), request, GIVE_BACK_TIME).await;
            if let Err(error) = given {
                let error = error.text();
                tracing::debug!(%error, "a message stays invisible until its invisible time ends");
            }
        });
    }
}

/// A message that is given back.
struct Given<'a> {
    receipt: &'a Receipt<'a>,
    offset: i64,
    lite_topic: Option<&'a str>,
    /// Whether its next delivery counts as a retry.
    counts: bool,
}

impl Given<'_> {
    /// The request that makes it visible again.
    fn request(&self, topic: &str, group: &str) -> RemotingCommand {
        let receipt = self.receipt;
        let stored = receipt.mark.stored_topic(topic, group);
        let text = receipt.to_string();
        let header = ChangeInvisibleTimeRequest {
            broker: Some(receipt.broker.into()),
            group: group.into(),
            topic: stored.as_ref().into(),
            queue_id: receipt.queue_id,
            extra_info: text.as_str().into(),
            offset: self.offset,
            invisible_time: INVISIBLE_TIME,
            suspend: Some(!self.counts),
            lite_topic: self.lite_topic.map(Into::into),
        };
        let request = RemotingCommand::request(RequestCode::CHANGE_MESSAGE_INVISIBLETIME);
        request.with_header(&header)
    }
}

/// The requests that give back the messages of an answer, one per message.
fn requests(
    answer: &HandedOut<'_>,
    broker: &str,
    topic: &str,
    group: &str,
) -> Vec<RemotingCommand> {
    let text = |list: Option<Text<'_>>| list.map(|list| list.text().into_owned());
    let (starts, messages) = (text(answer.starts), text(answer.messages));
    let offsets = PopOffsets {
        starts: starts.as_deref().unwrap_or_default(),
        messages: messages.as_deref().unwrap_or_default(),
        ..PopOffsets::default()
    };
    let mut requests = Vec::new();
    // Malformed entries of the lists are skipped.
    for queue in offsets.messages().flatten() {
        let (mark, queue_id) = (queue.mark, queue.queue_id);
        let Some(start_offset) = offsets.start_of(mark, queue_id) else {
            continue;
        };
        for offset in queue.offsets() {
            let receipt = Receipt {
                start_offset,
                pop_time: answer.pop_time,
                invisible_time: answer.invisible_time,
                revive_queue: answer.revive_queue,
                mark,
                broker,
                queue_id,
                queue_offset: Some(offset),
                commit_log_offset: None,
            };
            let message = Given {
                receipt: &receipt,
                offset,
                lite_topic: None,
                counts: false,
            };
            requests.push(message.request(topic, group));
        }
    }
    requests
}

/// The requests that give back the messages of an answer to POP_LITE_MESSAGE, one per lite topic:
/// the broker makes all that were popped of it visible (`suspendQueue` of
/// `MemoryConsumerOrderInfoManager`). `None` if the answer cannot be read.
fn requests_of_lite(
    answer: &UpstreamView<'_>,
    broker: &str,
    topic: &str,
    group: &str,
) -> Option<Vec<RemotingCommand>> {
    let header = PopLiteMessageResponse::read(answer.ext_fields()).ok()?;
    let messages = StoredMessages::new(answer.body()).flatten();
    let mut seen = HashSet::new();
    let requests = messages.filter_map(|message| {
        let receipt = Receipt::of_lite(&message, &header, broker)?;
        let lite_topic = message.properties.get(property::LITE_TOPIC)?;
        if !seen.insert(lite_topic.to_string()) {
            return None;
        }
        let message = Given {
            receipt: &receipt,
            offset: receipt.queue_offset?,
            lite_topic: Some(&lite_topic),
            counts: false,
        };
        Some(message.request(topic, group))
    });
    Some(requests.collect())
}

#[cfg(test)]
mod tests {
    use remoting_codec::message::{PropertiesBuf, StoredMessage, StoredVersion, SysFlag};
    use remoting_codec::{CommandView, ResponseCode, SerializeType};

    use super::*;

    /// Topic, queue, offset and receipt of each request for an answer with these lists.
    fn given_back(starts: &'static str, messages: &'static str) -> Vec<[String; 4]> {
        let answer = RemotingCommand::response(ResponseCode::SUCCESS, 1, SerializeType::Json)
            .with_field("popTime", "1700000000000")
            .with_field("invisibleTime", "60000")
            .with_field("reviveQid", "3")
            .with_field("startOffsetInfo", starts)
            .with_field("msgOffsetInfo", messages)
            .to_bytes();
        let view = CommandView::decode(&answer).unwrap();
        let answer = HandedOut::read(view.ext_fields()).unwrap();
        let requests = requests(&answer, "broker-a", "T", "G");
        let fields = ["topic", "queueId", "offset", "extraInfo"];
        let read = requests.iter().map(|request| {
            assert_eq!(request.field("invisibleTime"), Some("1"));
            assert_eq!(request.field("bname"), Some("broker-a"));
            assert_eq!(request.field("consumerGroup"), Some("G"));
            fields.map(|name| request.field(name).unwrap().to_owned())
        });
        read.collect()
    }

    #[test]
    fn each_message_has_its_receipt() {
        let receipt = |start, mark, queue, offset| {
            format!("{start} 1700000000000 60000 3 {mark} broker-a {queue} {offset}")
        };
        let found = given_back("0 2 100;1 0 5;2 1 7", "0 2 100,103;1 0 5;2 1 9");
        let expected = [
            ("T", "2", "100", receipt(100, 0, 2, 100)),
            ("T", "2", "103", receipt(100, 0, 2, 103)),
            ("%RETRY%G_T", "0", "5", receipt(5, 1, 0, 5)),
            ("%RETRY%G+T", "1", "9", receipt(7, 2, 1, 9)),
        ];
        let expected = expected.map(|(topic, queue, offset, receipt)| {
            [topic.into(), queue.into(), offset.into(), receipt]
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn malformed_entries_are_skipped() {
        assert!(given_back("", "").is_empty());
        assert!(given_back("0 2 100", "0 1 100").is_empty());
        assert_eq!(given_back("x;0 2 100", "y;0 2 100;0 3 x").len(), 1);
    }

    #[test]
    fn messages_of_lite_topics_are_given_back_topic_by_topic() {
        let mut body = Vec::new();
        for (lite_topic, offset) in [("red", "4"), ("red", "5"), ("blue", "9")] {
            let mut properties = PropertiesBuf::new();
            properties.push(property::LITE_TOPIC, lite_topic).unwrap();
            let name = property::INNER_MULTI_QUEUE_OFFSET;
            properties.push(name, offset).unwrap();
            stored(&properties).encode(&mut body).unwrap();
        }
        stored(&PropertiesBuf::new()).encode(&mut body).unwrap();
        let answer = RemotingCommand::response(ResponseCode::SUCCESS, 1, SerializeType::Json)
            .with_field("popTime", "1700000000000")
            .with_field("invisibleTime", "60000")
            .with_field("reviveQid", "999")
            .with_body(body)
            .to_bytes();
        let view = UpstreamView::decode_answer(&answer).unwrap();
        let requests = requests_of_lite(&view, "broker-a", "T", "G").unwrap();
        let fields = ["topic", "liteTopic", "queueId", "offset", "extraInfo"];
        let given: Vec<_> = requests
            .iter()
            .map(|request| fields.map(|name| request.field(name).unwrap()))
            .collect();
        let receipts = [
            "0 1700000000000 60000 999 0 broker-a 0 4",
            "0 1700000000000 60000 999 0 broker-a 0 9",
        ];
        let [red, blue] = receipts;
        let expected = [["T", "red", "0", "4", red], ["T", "blue", "0", "9", blue]];
        assert_eq!(given, expected);
    }

    fn stored(properties: &PropertiesBuf) -> StoredMessage<'_> {
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
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"body",
            topic: "T",
            properties: properties.as_properties(),
        }
    }
}
