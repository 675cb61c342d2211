//! A request of each code, made from the table of those that are served: a new one gets into the
//! suite by itself.

use integration_tests::abuse::{BROKERS, Request};
use remoting::table::{Processor, Row, TABLE};
use remoting_codec::{FieldKind, RequestCode};
use serde_json::json;

/// The group and the id of attackers that have sent a heartbeat.
pub(crate) const GROUP: &str = "attackers";

/// Everything that a client may ask.
pub(crate) fn served() -> impl Iterator<Item = &'static Row> {
    TABLE
        .iter()
        .filter(|row| row.processor != Processor::FromBroker)
}

/// A request of that code, with all of its fields, about that topic, or about a group of that name
/// where there is none.
pub(crate) fn request(row: &Row, topic: &str) -> Request {
    let about_topic = row
        .fields
        .iter()
        .any(|field| matches!(field.name, "topic" | "b"));
    let group = if about_topic { GROUP } else { topic };
    let request = row
        .fields
        .iter()
        .fold(Request::new(row.code), |request, field| {
            let value = match field.name {
                "topic" | "b" | "originTopic" | "defaultTopic" => topic,
                "bname" | "n" => BROKERS[0],
                "consumerGroup" | "producerGroup" | "group" | "a" => group,
                "clientID" | "clientId" => "attacker",
                "extraInfo" => "0 1700000000000 60000 0 0 broker-a 0 0",
                _ => match field.kind {
                    FieldKind::Int | FieldKind::Long => "0",
                    FieldKind::Text => "x",
                },
            };
            request.field(field.name, value)
        });
    match body(row.code, topic, group) {
        Some(body) => request.body(body),
        None => request,
    }
}

fn body(code: RequestCode, topic: &str, group: &str) -> Option<String> {
    let queue = json!({"brokerName": BROKERS[0], "queueId": 0, "topic": topic});
    let body = match code {
        RequestCode::HEART_BEAT => return Some(heartbeat("attacker", GROUP, topic)),
        RequestCode::LOCK_BATCH_MQ | RequestCode::UNLOCK_BATCH_MQ => {
            json!({"clientId": "attacker", "consumerGroup": group, "mqSet": [queue]})
        }
        RequestCode::CHECK_CLIENT_CONFIG => json!({
            "clientId": "attacker", "group": group, "namespace": "",
            "subscriptionData": {"topic": topic, "subString": "*", "expressionType": "TAG"},
        }),
        RequestCode::QUERY_ASSIGNMENT => json!({
            "clientId": "attacker", "consumerGroup": GROUP, "topic": topic, "strategyName": "AVG",
            "messageModel": "CLUSTERING",
        }),
        RequestCode::BATCH_ACK_MESSAGE => json!({
            "consumerGroup": GROUP,
            "acks": [{"c": GROUP, "t": topic, "r": "0", "q": 0, "rq": 0, "so": 0, "pt": 0, "it": 0,
                "b": [1]}],
        }),
        _ => return None,
    };
    Some(body.to_string())
}

/// The heartbeat of a member of that group.
pub(crate) fn heartbeat(id: &str, group: &str, topic: &str) -> String {
    json!({
        "clientID": id,
        "producerDataSet": [{"groupName": group}],
        "consumerDataSet": [{
            "groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
            "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "unitMode": false,
            "subscriptionDataSet": [{"topic": topic, "subString": "*", "subVersion": 1,
                "codeSet": [], "tagsSet": [], "expressionType": "TAG", "classFilterMode": false}],
        }],
    })
    .to_string()
}

/// The same as a request.
pub(crate) fn register(id: &str) -> Request {
    let body = heartbeat(id, GROUP, "known-attackers");
    Request::new(RequestCode::HEART_BEAT).body(body)
}

/// A pull that may wait for that long.
pub(crate) fn pull(topic: &str, wait_ms: u64) -> Request {
    Request::new(RequestCode::PULL_MESSAGE)
        .field("consumerGroup", GROUP)
        .field("topic", topic)
        .field("queueId", 0)
        .field("queueOffset", 0)
        .field("maxMsgNums", 32)
        .field("sysFlag", 2)
        .field("commitOffset", 0)
        .field("suspendTimeoutMillis", wait_ms)
        .field("subVersion", 0)
        .field("bname", BROKERS[0])
}

/// A POP or NOTIFICATION that a client made at `born_ms` by its own clock.
pub(crate) fn poll(code: RequestCode, wait_ms: u64, born_ms: u64) -> Request {
    Request::new(code)
        .field("consumerGroup", GROUP)
        .field("topic", "known-attackers")
        .field("queueId", -1)
        .field("maxMsgNums", 32)
        .field("invisibleTime", 60_000)
        .field("pollTime", wait_ms)
        .field("bornTime", born_ms)
        .field("initMode", 0)
        .field("bname", BROKERS[0])
}

/// A send of that many bytes.
pub(crate) fn send(topic: &str, size: usize) -> Request {
    Request::new(RequestCode::SEND_MESSAGE_V2)
        .field("a", GROUP)
        .field("b", topic)
        .field("c", "TBW102")
        .field("d", 4)
        .field("e", 0)
        .field("f", 0)
        .field("g", 0)
        .field("h", 0)
        .field("i", "")
        .field("n", BROKERS[0])
        .body(vec![b'x'; size])
}

/// A question for a topic's route.
pub(crate) fn route(topic: &str) -> Request {
    Request::new(RequestCode::GET_ROUTEINFO_BY_TOPIC).field("topic", topic)
}
