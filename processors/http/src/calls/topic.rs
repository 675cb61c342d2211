//! The description of a topic.

use http::StatusCode;
use messaging::check::TopicType;
use messaging::queues::{self, READ, WRITE};
use remoting_codec::body::TopicRouteData;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::json::{Described, Problem, Query, TopicBroker};
use crate::render;

/// Most queues of a broker that an answer counts; a route with more is broken.
const MAX_QUEUES: i32 = 1 << 16;

/// The id of a broker's master.
const MASTER: i64 = 0;

/// The type of a topic's messages, and its queues at each broker. Brokers are named; where they are
/// is nothing for clients.
pub(super) async fn describe(call: &Call<'_>, topic: &str) -> Result<Answer, Problem> {
    Query::read(call.head.uri.query(), &[])?;
    let name = call.names()?.topic("", topic).map_err(render::read)?;
    let route = call.caller().route(&name).await;
    let route = route.map_err(|error| render::read(error.into()))?;
    let config = call.configs().topic(call.caller(), &name).await;
    let kind = config.map_or(TopicType::Unspecified, |config| {
        TopicType::of_attribute(config.message_type())
    });
    let described = Described {
        topic: topic.to_owned(),
        kind: name_of(kind),
        brokers: brokers(route.data()),
    };
    Ok(answer::json(StatusCode::OK, &described, call.account()))
}

/// The brokers of a route, in its order, with the queues that can be used.
fn brokers(route: &TopicRouteData) -> Vec<TopicBroker> {
    let all = route.queue_datas.iter().filter_map(|queues| {
        let broker = queues::broker_of(route, queues)?;
        let has_master = broker.broker_addrs.contains_key(&MASTER);
        let count = |may: bool, count: i32| if may { count.clamp(0, MAX_QUEUES) } else { 0 };
        Some(TopicBroker {
            broker: broker.broker_name.clone(),
            read_queues: count(queues.perm & READ != 0, queues.read_queue_nums),
            write_queues: count(
                queues.perm & WRITE != 0 && has_master,
                queues.write_queue_nums,
            ),
        })
    });
    all.collect()
}

fn name_of(kind: TopicType) -> &'static str {
    match kind {
        TopicType::Unspecified => "unknown",
        TopicType::Normal => "normal",
        TopicType::Fifo => "fifo",
        TopicType::Delay => "delay",
        TopicType::Transaction => "transaction",
        TopicType::Priority => "priority",
        TopicType::Lite => "lite",
        TopicType::Mixed => "mixed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_count_that_can_be_used() {
        let text = r#"{"brokerDatas":[
            {"brokerAddrs":{"0":"10.0.0.1:1"},"brokerName":"a"},
            {"brokerAddrs":{"1":"10.0.0.2:1"},"brokerName":"b"},
            {"brokerAddrs":{"0":"10.0.0.3:1"},"brokerName":"c"}
        ],"queueDatas":[
            {"brokerName":"a","perm":6,"readQueueNums":8,"writeQueueNums":4},
            {"brokerName":"b","perm":6,"readQueueNums":8,"writeQueueNums":4},
            {"brokerName":"c","perm":2,"readQueueNums":-1,"writeQueueNums":2000000000},
            {"brokerName":"gone","perm":6,"readQueueNums":8,"writeQueueNums":4}
        ]}"#;
        let route = TopicRouteData::decode(text.as_bytes()).unwrap();
        let found = brokers(&route);
        let found: Vec<_> = found
            .iter()
            .map(|broker| (&*broker.broker, broker.read_queues, broker.write_queues))
            .collect();
        assert_eq!(found, [("a", 8, 4), ("b", 8, 0), ("c", 0, 1 << 16)]);
    }
}
