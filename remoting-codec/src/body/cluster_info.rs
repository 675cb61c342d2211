//! The answer of GET_BROKER_CLUSTER_INFO (`ClusterInfo`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::topic_route::BrokerData;
use super::{read, write};
use crate::error::BodyError;

/// All brokers that are registered at a name server.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterInfo {
    /// The addresses of each broker, by its name.
    #[serde(default)]
    pub broker_addr_table: BTreeMap<String, BrokerData>,
    /// The names of each cluster's brokers, by the cluster's name.
    #[serde(default)]
    pub cluster_addr_table: BTreeMap<String, Vec<String>>,
}

impl ClusterInfo {
    /// Reads the body, which name servers write with bare numbers as keys.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("cluster info", body)
    }

    /// The body in JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(self)
    }
}
