//! Gives messages back that a broker has handed out for a POP and that no client will receive: they
//! are made visible again at once.
//!
//! Otherwise they would stay invisible to the group until their invisible time ends, because no
//! client would acknowledge them.

use std::rc::Rc;
use std::time::Duration;

use remoting_codec::headers::{ChangeInvisibleTimeRequest, Header, Text, header};
use remoting_codec::message::{PopOffsets, Receipt};
use remoting_codec::{ExtFields, RemotingCommand, RequestCode};
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
        }
    }

    /// Makes every message of a successful answer visible again, in separate tasks. `answer` has
    /// the answer's fields.
    pub fn give_back(&self, answer: ExtFields<'_>) {
        let broker = self.connection.broker_name().unwrap_or_default();
        let Ok(answer) = HandedOut::read(answer) else {
            tracing::debug!(
                broker,
                "an answer to a POP cannot be read: its messages stay invisible"
            );
            return;
        };
        for request in requests(&answer, broker, &self.topic, &self.group) {
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
        let topic = mark.stored_topic(topic, group);
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
            }
            .to_string();
            let header = ChangeInvisibleTimeRequest {
                broker: Some(broker.into()),
                group: group.into(),
                topic: topic.as_ref().into(),
                queue_id,
                extra_info: receipt.as_str().into(),
                offset,
                invisible_time: INVISIBLE_TIME,
                suspend: None,
                lite_topic: None,
            };
            let request = RemotingCommand::request(RequestCode::CHANGE_MESSAGE_INVISIBLETIME);
            requests.push(request.with_header(&header));
        }
    }
    requests
}

#[cfg(test)]
mod tests {
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
}
