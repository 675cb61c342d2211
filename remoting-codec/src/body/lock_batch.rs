//! LOCK_BATCH_MQ and UNLOCK_BATCH_MQ (`LockBatchRequestBody`, `LockBatchResponseBody`).

use serde::{Deserialize, Serialize};

use super::{read, write};
use crate::error::BodyError;

/// One queue of a topic. Clients compare all three parts with the answer.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageQueue {
    /// Name of the broker that has the queue.
    pub broker_name: String,
    /// The queue's number at its broker.
    pub queue_id: i32,
    /// The queue's topic, which may be a retry topic.
    pub topic: String,
}

/// The queues that an orderly consumer asks to lock or unlock.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockBatch {
    /// The id of the client that holds the locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The group that the locks are of: of its members, only the client may consume the queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<String>,
    /// The queues. Java sends one request per broker; other clients may name queues of several.
    #[serde(default)]
    pub mq_set: Vec<MessageQueue>,
    /// 5.x: whether the broker locks the queues at itself only, not at its slaves.
    #[serde(default)]
    pub only_this_broker: bool,
}

impl LockBatch {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("lock batch", body)
    }

    /// The body in JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(self)
    }
}

/// The queues that are locked now.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LockBatchResponse {
    /// The requested queues without those that could not be locked.
    #[serde(default, rename = "lockOKMQSet")]
    pub locked: Vec<MessageQueue>,
}

impl LockBatchResponse {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("lock batch response", body)
    }

    /// The body in JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(self)
    }
}
