//! The request of BATCH_ACK_MESSAGE (`BatchAckMessageRequestBody`).

use serde::{Deserialize, Serialize, Serializer};

use super::read;
use crate::error::BodyError;
use crate::message::TopicMark;

/// Many acknowledgements for one broker, to write.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchAckBody<'a> {
    /// The name of the broker that the messages were popped from.
    pub broker_name: &'a str,
    /// Those of each queue and POP.
    pub acks: Vec<QueueAcks<'a>>,
}

/// Messages of one queue that one POP has handed out (`BatchAck`).
#[derive(Clone, Debug, Serialize)]
pub struct QueueAcks<'a> {
    /// The consumer's group.
    #[serde(rename = "c")]
    pub group: &'a str,
    /// The topic that the messages were sent to, not that of their retries.
    #[serde(rename = "t")]
    pub topic: &'a str,
    /// The topic that they are stored in.
    #[serde(rename = "r", serialize_with = "mark")]
    pub mark: TopicMark,
    /// The offset at which the POP started.
    #[serde(rename = "so")]
    pub start_offset: i64,
    /// The queue's number.
    #[serde(rename = "q")]
    pub queue_id: i32,
    /// The revive queue that keeps the checkpoint.
    #[serde(rename = "rq")]
    pub revive_queue: i32,
    /// When the messages were popped: milliseconds since 1970.
    #[serde(rename = "pt")]
    pub pop_time: i64,
    /// For how many milliseconds from then on they are invisible.
    #[serde(rename = "it")]
    pub invisible_time: i64,
    /// Which messages, counted from the start: bit 0 of the first byte is the first. In base64.
    #[serde(rename = "b")]
    pub bits: String,
}

fn mark<S: Serializer>(mark: &TopicMark, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(mark)
}

impl BatchAckBody<'_> {
    /// Writes the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::write(self)
    }
}

/// Many acknowledgements for one broker; only the broker's name is read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BatchAck {
    /// The name of the broker that the messages were popped from.
    pub broker_name: String,
}

impl BatchAck {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("batch ack", body)
    }
}
