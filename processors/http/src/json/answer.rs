//! Documents that are answered.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::problem::Problem;
use super::settlement::Settled;

/// A queue of a topic.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct QueueOf {
    /// The broker's name.
    pub broker: String,
    /// The queue's number at the broker.
    pub id: i32,
}

/// What a broker has not achieved yet for a message that it has stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// It is not on disk yet (`FLUSH_DISK_TIMEOUT`).
    NotOnDisk,
    /// A slave does not have it yet (`FLUSH_SLAVE_TIMEOUT`).
    NotAtSlave,
    /// There is no slave to copy it to (`SLAVE_NOT_AVAILABLE`).
    NoSlave,
}

/// A message that was sent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// The message's unique id.
    pub message_id: String,
    /// The id of its place.
    pub offset_message_id: String,
    /// The queue that has it.
    pub queue: QueueOf,
    /// Its place in the queue.
    pub offset: i64,
    /// By which it can be recalled, if it is delayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall_handle: Option<String>,
    /// By which its transaction is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// How it is stored less safely than configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Warning>,
}

/// What has become of an entry of a batch.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SendResult {
    /// It was sent.
    Sent(Sent),
    /// It was not, or that is not known.
    Failed {
        /// Why.
        error: Problem,
    },
}

impl From<Result<Sent, Problem>> for SendResult {
    fn from(result: Result<Sent, Problem>) -> Self {
        match result {
            Ok(sent) => Self::Sent(sent),
            Err(error) => Self::Failed { error },
        }
    }
}

/// The results of several entries, in their order.
#[derive(Clone, Debug, Serialize)]
pub struct Results<T> {
    /// One for each.
    pub results: Vec<T>,
}

impl Serialize for Settled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { settlement, result } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("handle", &settlement.handle)?;
        map.serialize_entry("action", settlement.action.name())?;
        map.serialize_entry("ok", &result.is_ok())?;
        match result {
            Ok(None) => {}
            Ok(Some(handle)) => map.serialize_entry("newHandle", handle)?,
            Err(problem) => map.serialize_entry("error", problem)?,
        }
        map.end()
    }
}

/// A message that was recalled.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recalled {
    /// The message's unique id.
    pub message_id: String,
}

/// A broker of a topic.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicBroker {
    /// The broker's name.
    pub broker: String,
    /// How many queues can be read.
    pub read_queues: i32,
    /// How many queues take messages: none without a master.
    pub write_queues: i32,
}

/// A topic.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Described {
    /// Its name.
    pub topic: String,
    /// The type of its messages, in lower case; `unknown` if no broker has answered.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its brokers.
    pub brokers: Vec<TopicBroker>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::problem::Word;
    use super::super::settlement::{Action, Settlement};
    use super::*;

    fn sent() -> Sent {
        Sent {
            message_id: "01".to_owned(),
            offset_message_id: "02".to_owned(),
            queue: QueueOf {
                broker: "broker-a".to_owned(),
                id: 3,
            },
            offset: 7,
            recall_handle: None,
            transaction: None,
            warning: None,
        }
    }

    #[test]
    fn batches_have_results() {
        let warned = Sent {
            warning: Some(Warning::NotOnDisk),
            recall_handle: Some("r".to_owned()),
            ..sent()
        };
        let busy = Problem::new(Word::Busy, "later");
        let results = [Ok(sent()), Err(busy), Ok(warned)];
        let results = Results {
            results: results.map(SendResult::from).to_vec(),
        };
        let text = serde_json::to_string(&results).unwrap();
        let sent = concat!(
            r#"{"messageId":"01","offsetMessageId":"02","#,
            r#""queue":{"broker":"broker-a","id":3},"offset":7"#,
        );
        let error = r#"{"error":{"status":429,"code":"too_many_requests","detail":"later"}}"#;
        let warned = format!(r#"{sent},"recallHandle":"r","warning":"not_on_disk"}}"#);
        assert_eq!(
            text,
            format!(r#"{{"results":[{sent}}},{error},{warned}]}}"#)
        );
    }

    #[test]
    fn settlements_have_results() {
        let settled = |action, result| Settled {
            settlement: Settlement {
                handle: "h".to_owned(),
                action,
            },
            result,
        };
        let expired = Problem::new(Word::Expired, "too late");
        let results = vec![
            settled(Action::Ack, Ok(None)),
            settled(Action::Extend(Duration::ZERO), Ok(Some("n".to_owned()))),
            settled(Action::DeadLetter, Err(expired)),
        ];
        let text = serde_json::to_string(&Results { results }).unwrap();
        let expected = concat!(
            r#"{"results":[{"handle":"h","action":"ack","ok":true},"#,
            r#"{"handle":"h","action":"extend","ok":true,"newHandle":"n"},"#,
            r#"{"handle":"h","action":"deadLetter","ok":false,"error":"#,
            r#"{"status":410,"code":"handle_expired","detail":"too late"}}]}"#,
        );
        assert_eq!(text, expected);
    }
}
