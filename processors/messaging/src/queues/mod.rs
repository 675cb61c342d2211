//! Which brokers and queues of a topic take messages, and which hand them out.

mod shard;

use remoting_codec::body::{BrokerData, QueueData, TopicRouteData};

pub use shard::{consistent_bucket, shard};

/// Bits of [`QueueData::perm`] (`PermName`): the queues hand messages out.
pub const READ: i32 = 4;
/// The queues take messages.
pub const WRITE: i32 = 2;

/// The id of a broker's master.
const MASTER: i64 = 0;

/// The broker of these queues, if the route has it.
#[must_use]
pub fn broker_of<'a>(route: &'a TopicRouteData, queues: &QueueData) -> Option<&'a BrokerData> {
    let mut brokers = route.broker_datas.iter();
    brokers.find(|broker| broker.broker_name == queues.broker_name)
}

/// The brokers that take messages of a topic, in the order of the route, each with the number of
/// its queues. A broker without a master takes none.
pub(crate) fn writable(route: &TopicRouteData) -> Vec<(&str, usize)> {
    let queues = route.queue_datas.iter().filter(|queues| {
        let mut brokers = route.broker_datas.iter();
        let has_master = brokers.any(|broker| {
            broker.broker_name == queues.broker_name && broker.broker_addrs.contains_key(&MASTER)
        });
        queues.perm & WRITE != 0 && queues.write_queue_nums > 0 && has_master
    });
    queues
        .map(|queues| {
            let count = usize::try_from(queues.write_queue_nums).unwrap_or_default();
            (queues.broker_name.as_str(), count)
        })
        .collect()
}

/// The brokers that a topic can be read from, in the order of the route.
pub fn readable(route: &TopicRouteData) -> impl Iterator<Item = &QueueData> {
    let queues = route.queue_datas.iter();
    queues.filter(|queues| {
        let has_queues = queues.perm & READ != 0 && queues.read_queue_nums > 0;
        has_queues && broker_of(route, queues).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_queues_and_masters_decide() {
        let queues = |broker: &str, perm, read, write| {
            format!(
                r#"{{"brokerName":"{broker}","perm":{perm},"readQueueNums":{read},"writeQueueNums":{write}}}"#
            )
        };
        let all = [
            queues("a", 6, 3, 2),
            queues("b", 6, 1, 1),
            queues("c", 4, 1, 1),
            queues("d", 2, 1, 4),
            queues("e", 6, 0, 0),
            queues("gone", 6, 1, 1),
        ];
        let text = format!(
            r#"{{"brokerDatas":[
                {{"brokerAddrs":{{"0":"10.0.0.1:1"}},"brokerName":"a"}},
                {{"brokerAddrs":{{"1":"10.0.0.2:1"}},"brokerName":"b"}},
                {{"brokerAddrs":{{"0":"10.0.0.3:1"}},"brokerName":"c"}},
                {{"brokerAddrs":{{"0":"10.0.0.4:1"}},"brokerName":"d"}},
                {{"brokerAddrs":{{"0":"10.0.0.5:1"}},"brokerName":"e"}}
            ],"queueDatas":[{}]}}"#,
            all.join(",")
        );
        let route = TopicRouteData::decode(text.as_bytes()).unwrap();
        assert_eq!(writable(&route), [("a", 2), ("d", 4)]);
        let readable: Vec<_> = readable(&route)
            .map(|queues| &*queues.broker_name)
            .collect();
        assert_eq!(readable, ["a", "b", "c"]);
    }
}
