//! LOCK_BATCH_MQ and UNLOCK_BATCH_MQ (`LockBatchRequestBody`, `LockBatchResponseBody`).

use serde::{Deserialize, Serialize};

use super::{read, write};
use crate::error::BodyError;

/// One queue of a topic. Clients compare all three parts of what they are answered.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageQueue {
    /// The broker that has it.
    pub broker_name: String,
    /// Its number there.
    pub queue_id: i32,
    /// The topic.
    pub topic: String,
}

/// The queues that an orderly consumer wants to lock or unlock.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LockBatch {
    /// Whose lock; brokers keep locks by this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Of which group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<String>,
    /// Which queues. Java asks once per broker; others need not.
    #[serde(default)]
    pub mq_set: Vec<MessageQueue>,
    /// 5.x: whether the broker is to leave its replicas out of it.
    #[serde(default)]
    pub only_this_broker: bool,
}

impl LockBatch {
    /// Reads the body.
    ///
    /// # Errors
    /// When it is not such a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("lock batch", body)
    }

    /// Writes the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(self)
    }
}

/// The queues that are locked now.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LockBatchResponse {
    /// As they were asked for, those that could not be locked left out.
    #[serde(default, rename = "lockOKMQSet")]
    pub locked: Vec<MessageQueue>,
}

impl LockBatchResponse {
    /// Reads the body.
    ///
    /// # Errors
    /// When it is not such a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("lock batch response", body)
    }

    /// Writes the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(self)
    }
}
