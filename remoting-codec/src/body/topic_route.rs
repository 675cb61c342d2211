//! The answer of GET_ROUTEINFO_BY_TOPIC (`TopicRouteData`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{read, write};
use crate::error::BodyError;

/// The brokers and queues of a topic.
///
/// Fields that Remora does not need are kept unchanged. A route is written with quoted keys, in a
/// stable order and without spaces. Every client reads that (Go splits the text of `brokerAddrs` at
/// commas and colons), and a client that compares it with the previous route finds only real
/// changes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicRouteData {
    /// The brokers that have queues of the topic.
    #[serde(default)]
    pub broker_datas: Vec<BrokerData>,
    /// From the time when brokers had filter servers; clients expect an object.
    #[serde(default)]
    pub filter_server_table: BTreeMap<String, Value>,
    /// `broker-a:4;broker-b:4`: if present, producers take their queues from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_topic_conf: Option<String>,
    /// How many queues each of these brokers has.
    #[serde(default)]
    pub queue_datas: Vec<QueueData>,
    /// For static topics: the broker of each logical queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_queue_mapping_by_broker: Option<BTreeMap<String, Value>>,
}

/// One broker name: a master and its slaves.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerData {
    /// `host:port` by broker id; 0 is the master.
    #[serde(default)]
    pub broker_addrs: BTreeMap<i64, String>,
    /// The broker's name, by which requests identify it.
    pub broker_name: String,
    /// Name of the cluster that the broker belongs to.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Further fields of the name server's answer (`zoneName`, `enableActingMaster`, …).
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// The queues that a broker has of a topic.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueData {
    /// The name of the broker, one of [`TopicRouteData::broker_datas`].
    pub broker_name: String,
    /// Permissions: 4 read, 2 write.
    #[serde(default)]
    pub perm: i32,
    /// How many queues consumers use, numbered from 0.
    #[serde(default)]
    pub read_queue_nums: i32,
    /// Further fields of the name server's answer (`topicSysFlag`, …).
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
    /// How many queues producers use, numbered from 0.
    #[serde(default)]
    pub write_queue_nums: i32,
}

impl TopicRouteData {
    /// Reads the body, with or without quotes around numeric keys.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("topic route", body)
    }

    /// The body in JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read_and_the_standard_one_is_written() {
        let standard = r#"{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911","1":"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#;
        let route = TopicRouteData::decode(standard.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(route.encode()).unwrap(), standard);
        let unquoted = standard.replace(r#""0":"#, "0:").replace(r#""1":"#, "1:");
        assert_eq!(TopicRouteData::decode(unquoted.as_bytes()).unwrap(), route);
    }
}
