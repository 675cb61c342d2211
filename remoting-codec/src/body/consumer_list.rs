//! The answer of GET_CONSUMER_LIST_BY_GROUP (`GetConsumerListByGroupResponseBody`).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{read, write};
use crate::error::BodyError;

/// The members of a consumer group.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerList {
    /// Their client ids. Members divide a topic's queues by this list, so each must see the same.
    pub consumer_id_list: Vec<String>,
}

impl ConsumerList {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("consumer list", body)
    }

    /// Keeps the first occurrence of each id. Returns whether any occurred twice.
    pub fn dedup(&mut self) -> bool {
        let before = self.consumer_id_list.len();
        let mut seen = HashSet::new();
        self.consumer_id_list.retain(|id| seen.insert(id.clone()));
        self.consumer_id_list.len() < before
    }

    /// The body in JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(self)
    }
}
