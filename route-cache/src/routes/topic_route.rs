//! One topic's route.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use remoting_codec::body::{BrokerData, TopicRouteData};
use serde_json::Value;

use super::advertised::Advertised;
use crate::broker::MASTER;

/// Most encoded forms that are kept of a route, one for each set of advertised addresses.
const ENCODED_MAX: usize = 8;

/// The permission bit of a queue that takes messages (`PermName`).
const WRITE: i32 = 2;

/// A topic's route as of one moment. It never changes.
#[derive(Debug)]
pub struct TopicRoute {
    data: TopicRouteData,
    /// The encoded answers to clients, by advertised addresses.
    encoded: Mutex<Vec<Encoded>>,
}

/// A route as encoded for some clients.
#[derive(Debug)]
struct Encoded {
    advertised: Arc<Advertised>,
    own: bool,
    zone: Option<Box<str>>,
    body: Bytes,
}

impl TopicRoute {
    /// Keeps the name server's order: Go counts queues in it, and a sharding key must end at the
    /// same queue whether its producer is connected directly or not.
    pub(super) fn new(data: TopicRouteData) -> Self {
        Self {
            data,
            encoded: Mutex::default(),
        }
    }

    /// Its brokers, in the name server's order.
    #[must_use]
    pub fn brokers(&self) -> &[BrokerData] {
        &self.data.broker_datas
    }

    /// Whether all brokers of another route are in this one.
    pub(super) fn has_brokers_of(&self, other: &Self) -> bool {
        let mut theirs = other.data.broker_datas.iter();
        theirs.all(|their| {
            let mut own = self.data.broker_datas.iter();
            own.any(|own| own.broker_name == their.broker_name)
        })
    }

    /// The brokers that can take a message for the queue of that number instead of `broker`: each
    /// has such a queue to write to, and a master. They are in the route's order, starting after
    /// that broker. There are none if producers take their queues from a fixed order.
    #[must_use]
    pub fn others_with_queue(&self, broker: &str, queue: i32) -> Vec<&str> {
        if self.data.order_topic_conf.is_some() {
            return Vec::new();
        }
        let brokers = &self.data.broker_datas;
        let at = brokers.iter().position(|data| data.broker_name == broker);
        let (before, after) = brokers.split_at(at.unwrap_or_default());
        let has_queue = |name: &str| {
            let mut queues = self.data.queue_datas.iter();
            queues.any(|data| {
                data.broker_name == name
                    && data.perm & WRITE != 0
                    && (0..data.write_queue_nums).contains(&queue)
            })
        };
        let others = after.iter().chain(before);
        others
            .filter(|data| data.broker_name != broker && data.broker_addrs.contains_key(&MASTER))
            .map(|data| data.broker_name.as_str())
            .filter(|name| has_queue(name))
            .collect()
    }

    /// The broker that has a logical queue of a static topic now, among those with that mock name
    /// (`ClientMetadata.topicRouteData2EndpointsForStaticTopic` in the reference): the one whose
    /// mapping is the newest.
    #[must_use]
    pub fn broker_of_logical_queue(&self, mock_name: &str, queue: i32) -> Option<&str> {
        let queue = queue.to_string();
        let mappings = self.data.topic_queue_mapping_by_broker.iter().flatten();
        mappings
            .filter(|(_, mapping)| {
                let scope = mapping.get("scope").and_then(Value::as_str);
                scope.is_some_and(|scope| is_mock_name_of(mock_name, scope))
                    && mapping
                        .get("currIdMap")
                        .is_some_and(|queues| queues.get(&queue).is_some())
            })
            .max_by_key(|(_, mapping)| mapping.get("epoch").and_then(Value::as_i64))
            .map(|(name, mapping)| mapping.get("bname").and_then(Value::as_str).unwrap_or(name))
    }

    /// The route as name servers have it, with the brokers' own addresses.
    #[must_use]
    pub fn data(&self) -> &TopicRouteData {
        &self.data
    }

    /// The answer to a client. `own` advertises brokers at their own listeners; `zone` is the
    /// client's zone if it asks for the brokers of its zone only.
    #[must_use]
    pub fn encoded(&self, advertised: &Arc<Advertised>, own: bool, zone: Option<&str>) -> Bytes {
        let zone = zone.map(str::to_lowercase);
        let mut encoded = self.encoded.lock();
        let mut kept = encoded.iter();
        if let Some(kept) = kept.find(|kept| {
            kept.own == own
                && kept.zone.as_deref() == zone.as_deref()
                && kept.advertised == *advertised
        }) {
            return kept.body.clone();
        }
        let data = self.advertise(advertised, own, zone.as_deref());
        let body = Bytes::from(data.encode());
        // A zone that does not exist displaces no encoded route.
        if zone.as_deref().is_none_or(|zone| self.has_zone(zone)) {
            if encoded.len() == ENCODED_MAX {
                encoded.remove(0);
            }
            encoded.push(Encoded {
                advertised: advertised.clone(),
                own,
                zone: zone.map(String::into_boxed_str),
                body: body.clone(),
            });
        }
        body
    }

    fn has_zone(&self, zone: &str) -> bool {
        let mut brokers = self.data.broker_datas.iter();
        brokers.any(|broker| is_in_zone(broker, zone))
    }

    /// The route with every broker's advertised address. A broker with a master has the id 0; a
    /// broker with slaves only has a slave's id, so that producers skip it and consumers continue
    /// to read.
    ///
    /// With `zone` it has the brokers of that zone and those without a master, and is empty if
    /// there are none, as from a name server (`ZoneRouteRPCHook.filterByZoneName`).
    fn advertise(&self, advertised: &Advertised, own: bool, zone: Option<&str>) -> TopicRouteData {
        let mut data = self.data.clone();
        if let Some(zone) = zone {
            let (kept, elsewhere): (Vec<_>, Vec<_>) =
                data.broker_datas.into_iter().partition(|broker| {
                    !broker.broker_addrs.contains_key(&MASTER) || is_in_zone(broker, zone)
                });
            data.broker_datas = kept;
            data.queue_datas.retain(|queue| {
                let mut elsewhere = elsewhere.iter();
                !elsewhere.any(|broker| broker.broker_name == queue.broker_name)
            });
            for address in elsewhere.iter().flat_map(|data| data.broker_addrs.values()) {
                data.filter_server_table.remove(address);
            }
        }
        for broker in &mut data.broker_datas {
            let shown = if broker.broker_addrs.contains_key(&MASTER) {
                Some(MASTER)
            } else {
                broker.broker_addrs.keys().next().copied()
            };
            let address = advertised.address(&broker.broker_name, own);
            let shown = shown.into_iter().map(|id| (id, address.to_string()));
            broker.broker_addrs = shown.collect();
        }
        data
    }
}

/// Whether a broker is in that zone. Names are compared without regard to case.
fn is_in_zone(broker: &BrokerData, zone: &str) -> bool {
    let own = broker.rest.get("zoneName").and_then(Value::as_str);
    own.is_some_and(|own| own.to_lowercase() == zone.to_lowercase())
}

/// Prefix of the mock names that represent the broker that has a logical queue
/// (`MixAll.LOGICAL_QUEUE_MOCK_BROKER_PREFIX`).
pub const MOCK_PREFIX: &str = "__syslo__";

/// `TopicQueueMappingUtils.getMockBrokerName`: the scope `__global__` loses its first underscores.
fn is_mock_name_of(mock_name: &str, scope: &str) -> bool {
    let rest = mock_name.strip_prefix(MOCK_PREFIX).unwrap_or(mock_name);
    let scope = match scope.strip_prefix("__") {
        Some(global) if scope.starts_with("__global__") => global,
        _ => scope,
    };
    rest == scope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_see_one_address_and_whether_a_broker_has_a_master() {
        let body = br#"{"brokerDatas":[
            {"brokerAddrs":{"1":"10.0.0.3:10911","2":"10.0.0.4:10911"},"brokerName":"broker-b","cluster":"c"},
            {"brokerAddrs":{"0":"10.0.0.1:10911","1":"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"c","zoneName":"z"}],
            "orderTopicConf":"broker-a:4","queueDatas":[]}"#;
        let route = TopicRoute::new(TopicRouteData::decode(body).unwrap());
        let own = ("broker-b".to_owned(), Arc::from("mq.example.com:10920"));
        let advertised = Arc::new(Advertised {
            shared: "mq.example.com:8080".into(),
            brokers: [own].into(),
        });
        let encoded = route.encoded(&advertised, false, None);
        let expected = r#"{"brokerDatas":[{"brokerAddrs":{"1":"mq.example.com:8080"},"brokerName":"broker-b","cluster":"c"},{"brokerAddrs":{"0":"mq.example.com:8080"},"brokerName":"broker-a","cluster":"c","zoneName":"z"}],"filterServerTable":{},"orderTopicConf":"broker-a:4","queueDatas":[]}"#;
        assert_eq!(std::str::from_utf8(&encoded).unwrap(), expected);
        let own = expected.replace(
            r#"{"1":"mq.example.com:8080"}"#,
            r#"{"1":"mq.example.com:10920"}"#,
        );
        assert_eq!(route.encoded(&advertised, true, None), own);
        assert_eq!(route.encoded(&advertised, false, None), expected);
    }

    #[test]
    fn a_zone_has_its_own_brokers_and_those_without_a_master() {
        let body = br#"{"brokerDatas":[
            {"brokerAddrs":{"0":"10.0.0.1:1"},"brokerName":"a","cluster":"c","zoneName":"Left"},
            {"brokerAddrs":{"0":"10.0.0.2:1"},"brokerName":"b","cluster":"c","zoneName":"right"},
            {"brokerAddrs":{"1":"10.0.0.3:1"},"brokerName":"r","cluster":"c","zoneName":"right"},
            {"brokerAddrs":{"0":"10.0.0.4:1"},"brokerName":"n","cluster":"c"}],
            "filterServerTable":{"10.0.0.1:1":[],"10.0.0.2:1":[]},
            "queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":1,"writeQueueNums":1},
            {"brokerName":"b","perm":6,"readQueueNums":1,"writeQueueNums":1},
            {"brokerName":"r","perm":6,"readQueueNums":1,"writeQueueNums":1}]}"#;
        let route = TopicRoute::new(TopicRouteData::decode(body).unwrap());
        let advertised = Arc::new(Advertised {
            shared: "mq.example.com:8080".into(),
            brokers: [].into(),
        });
        let names = |zone: Option<&str>| {
            let body = route.encoded(&advertised, false, zone);
            let data = TopicRouteData::decode(&body).unwrap();
            let brokers = data.broker_datas.iter().map(|data| &data.broker_name);
            let queues = data.queue_datas.iter().map(|data| &data.broker_name);
            let names = |all: Vec<&String>| all.into_iter().cloned().collect::<Vec<_>>().join(" ");
            let filters = data.filter_server_table.len();
            (names(brokers.collect()), names(queues.collect()), filters)
        };
        assert_eq!(names(Some("LEFT")), ("a r".into(), "a r".into(), 1));
        assert_eq!(names(Some("right")), ("b r".into(), "b r".into(), 1));
        assert_eq!(names(None), ("a b r n".into(), "a b r".into(), 2));
        let kept = route.encoded.lock().len();
        for nth in 0..100 {
            assert_eq!(names(Some(&nth.to_string())).0, "r");
        }
        assert_eq!(route.encoded.lock().len(), kept);
    }

    #[test]
    fn other_brokers_with_a_writable_queue_take_a_message() {
        let broker = |name: &str, id: u8| {
            format!(
                r#"{{"brokerAddrs":{{"{id}":"10.0.0.1:1"}},"brokerName":"{name}","cluster":"c"}}"#
            )
        };
        let queues = |name: &str, perm: u8, count: u8| {
            format!(
                r#"{{"brokerName":"{name}","perm":{perm},"readQueueNums":8,"writeQueueNums":{count}}}"#
            )
        };
        let brokers = [
            ("a", 0),
            ("b", 0),
            ("c", 0),
            ("no-master", 1),
            ("read-only", 0),
        ];
        let brokers = brokers.map(|(name, id)| broker(name, id)).join(",");
        let all = [
            ("a", 6, 4),
            ("b", 6, 8),
            ("c", 6, 4),
            ("no-master", 6, 8),
            ("read-only", 4, 8),
        ];
        let all = all
            .map(|(name, perm, count)| queues(name, perm, count))
            .join(",");
        let route = |conf: &str| {
            let body = format!(r#"{{"brokerDatas":[{brokers}],{conf}"queueDatas":[{all}]}}"#);
            TopicRoute::new(TopicRouteData::decode(body.as_bytes()).unwrap())
        };
        assert_eq!(route("").others_with_queue("b", 3), ["c", "a"]);
        assert_eq!(route("").others_with_queue("gone", 3), ["a", "b", "c"]);
        assert_eq!(route("").others_with_queue("a", 4), ["b"]);
        assert_eq!(route("").others_with_queue("a", -1), [""; 0]);
        let ordered = route(r#""orderTopicConf":"a:4;b:4","#);
        assert_eq!(ordered.others_with_queue("a", 3), [""; 0]);
    }

    #[test]
    fn the_newest_mapping_gives_the_broker_of_a_logical_queue() {
        let body = br#"{"brokerDatas":[],"queueDatas":[],"topicQueueMappingByBroker":{
            "broker-a":{"bname":"broker-a","currIdMap":{0:0,1:1},"epoch":1,"scope":"__global__","totalQueues":2},
            "broker-b":{"bname":"broker-b","currIdMap":{1:0},"epoch":2,"scope":"__global__","totalQueues":2}}}"#;
        let route = TopicRoute::new(TopicRouteData::decode(body).unwrap());
        let at = |queue| route.broker_of_logical_queue("__syslo__global__", queue);
        assert_eq!(
            [at(0), at(1), at(2)],
            [Some("broker-a"), Some("broker-b"), None]
        );
        assert_eq!(route.broker_of_logical_queue("__syslo__other", 0), None);
    }
}
