//! The answers of GET_CONSUMER_CONNECTION_LIST and GET_PRODUCER_CONNECTION_LIST
//! (`ConsumerConnection`, `ProducerConnection`).

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{read, write};
use crate::error::BodyError;

/// The clients of a group that are connected to a broker.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionList {
    /// One for each: `clientId`, `clientAddr`, `language`, `version`.
    #[serde(default)]
    pub connection_set: Vec<Value>,
    /// Further fields of the broker's answer.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

impl ConnectionList {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("connection list", body)
    }

    /// The body in JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(self)
    }

    /// The ids of the clients.
    pub fn client_ids(&self) -> impl Iterator<Item = &str> {
        let clients = self.connection_set.iter();
        clients.filter_map(|client| client.get("clientId")?.as_str())
    }

    /// Adds the clients of another broker's answer.
    pub fn join(&mut self, other: Self) {
        let id = |connection: &Value| Some(connection.get("clientId")?.as_str()?.to_owned());
        let mut known: HashSet<_> = self.connection_set.iter().map(id).collect();
        let others = other.connection_set.into_iter();
        self.connection_set
            .extend(others.filter(|connection| known.insert(id(connection))));
    }
}
