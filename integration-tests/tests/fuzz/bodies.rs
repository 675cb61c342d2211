//! Bodies, which are JSON in several spellings.

use remoting_codec::CommandView;
use remoting_codec::body::{
    AssignmentQuery, BatchAck, ClientConfig, ClusterInfo, ConnectionList, ConsumerList, Heartbeat,
    LockBatch, LockBatchResponse, TopicRouteData,
};

use crate::{Target, header, outcome};

/// An input is a route as a name server sends it.
pub(crate) const ROUTE: Target = Target {
    name: "route",
    run: route,
    longest: 8_192,
    tokens: TOKENS,
    seeds: golden_bodies,
    generate: None,
};

/// An input is any of the other bodies that are read.
pub(crate) const BODIES: Target = Target {
    name: "bodies",
    run: bodies,
    longest: 8_192,
    tokens: TOKENS,
    seeds: golden_bodies,
    generate: None,
};

const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"\\",
    b"{0:",
    b",1:",
    b"{-1:",
    b"{\"0\":",
    b"null",
    b"true",
    b"1e9",
    b"0.1",
    b"-7",
    b"9223372036854775808",
    b"\\u00e9",
    b"\\ud83d",
    b"\xff",
    b"\xf0\x9f\x98\x80",
    b"[[[[[[[[",
    b"{\"a\":",
    b"\"brokerDatas\":[",
    b"\"queueDatas\":[",
    b"\"brokerAddrs\":{",
    b"\"brokerName\":\"b\"",
    b"\"cluster\":null",
    b"\"zoneName\":1.5,",
    b"\"filterServerTable\":{}",
    b"\"orderTopicConf\":\"b:4\",",
    b"\"topicQueueMappingByBroker\":{},",
    b"\"perm\":6,",
    b"\"readQueueNums\":4,",
    b"\"clientID\":\"c\",",
    b"\"consumerDataSet\":[",
    b"\"groupName\":\"g\",",
    b"\"subscriptionDataSet\":[",
    b"\"messageModel\":0,",
    b"\"producerDataSet\":[",
    b"\"mqSet\":[",
    b"\"queueId\":1,",
    b"\"consumerIdList\":[",
];

/// Those of frames that real clients, name servers and brokers have written.
fn golden_bodies() -> Vec<Vec<u8>> {
    let frames = header::golden_frames();
    let bodies = frames.iter().map(|frame| {
        let view = CommandView::decode(frame).expect("a golden frame");
        view.body().to_vec()
    });
    bodies.filter(|body| body.starts_with(b"{")).collect()
}

fn route(body: &[u8]) -> u64 {
    let route = match TopicRouteData::decode(body) {
        Ok(route) => route,
        Err(error) => return why_not(&error.reason),
    };
    let written = route.encode();
    let read_again = TopicRouteData::decode(&written).expect("what we write, we read");
    // What Remora reads keeps its meaning; of a number with a fraction, which no name server
    // writes, the last digit may change.
    if !has_fraction(&written) {
        assert_eq!(read_again, route);
        assert_eq!(read_again.encode(), written, "written twice");
    }
    let addresses = route
        .broker_datas
        .iter()
        .map(|broker| broker.broker_addrs.len());
    let rest = route.broker_datas.iter().map(|broker| broker.rest.len());
    outcome((
        route.broker_datas.len().min(4),
        addresses.sum::<usize>().min(4),
        rest.sum::<usize>().min(4),
        route.queue_datas.len().min(4),
        route.filter_server_table.len().min(2),
        route.order_topic_conf.is_some(),
        route
            .topic_queue_mapping_by_broker
            .map(|table| table.len().min(2)),
    ))
}

fn has_fraction(json: &[u8]) -> bool {
    let number = |pair: &[u8]| pair[0].is_ascii_digit() && matches!(pair[1], b'.' | b'e' | b'E');
    json.windows(2).any(number)
}

fn bodies(body: &[u8]) -> u64 {
    macro_rules! rewritten {
        ($name:ident) => {
            $name::decode(body).is_ok_and(|read| {
                let written = read.encode();
                let again = $name::decode(&written).expect("what we write, we read");
                assert!(
                    again == read || has_fraction(&written),
                    "{again:?}\n{read:?}"
                );
                true
            })
        };
    }
    let heartbeat = Heartbeat::decode(body);
    if let Ok(heartbeat) = &heartbeat {
        // Sorted by name, and no group twice.
        let names: Vec<_> = heartbeat
            .consumers
            .iter()
            .map(|consumer| &consumer.group_name)
            .collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
    let read = [
        heartbeat.is_ok(),
        AssignmentQuery::decode(body).is_ok(),
        BatchAck::decode(body).is_ok(),
        ClientConfig::decode(body).is_ok(),
        rewritten!(ClusterInfo),
        ConnectionList::decode(body).is_ok(),
        rewritten!(ConsumerList),
        rewritten!(LockBatch),
        rewritten!(LockBatchResponse),
    ];
    let (consumers, topics) = heartbeat.as_ref().map_or((0, 0), |heartbeat| {
        let topics = heartbeat
            .consumers
            .iter()
            .map(|consumer| consumer.topics.iter().count());
        (heartbeat.consumers.len(), topics.sum::<usize>())
    });
    let why = heartbeat.map_or_else(|error| why_not(&error.reason), |_| 0);
    outcome((read, consumers.min(4), topics.min(4), why))
}

/// A number for the JSON reader's error, without the parts of it that quote the input. How far the
/// reader got counts as progress.
fn why_not(reason: &str) -> u64 {
    let (what, place) = reason.rsplit_once(" column ").unwrap_or((reason, "0"));
    let place: u32 = place.parse().unwrap_or_default();
    let words: String = what
        .chars()
        .take_while(|c| !matches!(c, '`' | '"' | '0'..='9'))
        .collect();
    outcome((words, place.min(400)))
}
