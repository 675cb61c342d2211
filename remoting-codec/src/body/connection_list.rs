//! The answers of GET_CONSUMER_CONNECTION_LIST and GET_PRODUCER_CONNECTION_LIST (`ConsumerConnection`,
//! `ProducerConnection`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{read, write};
use crate::error::BodyError;

/// The clients of a group that a broker knows.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionList {
    /// One for each: `clientId`, `clientAddr`, `language`, `version`.
    #[serde(default)]
    pub connection_set: Vec<Value>,
    /// What else the broker says of the group.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

impl ConnectionList {
    /// Reads the body.
    ///
    /// # Errors
    /// When it is not such a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("connection list", body)
    }

    /// Writes the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(self)
    }

    /// Takes in the clients that another broker knows.
    pub fn join(&mut self, other: Self) {
        for connection in other.connection_set {
            let id = connection.get("clientId");
            let mut known = self.connection_set.iter();
            if !known.any(|known| known.get("clientId") == id) {
                self.connection_set.push(connection);
            }
        }
    }
}
