//! The requests that a load consists of, as a Java client of version 5 makes them.

use remoting_codec::{RemotingCommand, RequestCode, SerializeType};
use serde_json::json;

/// Messages that one pull asks for.
pub const PULL_MESSAGES: usize = 32;

/// Bytes of such a message's body: stored, with what the broker adds, it has about 370.
pub const PULLED_BODY: usize = 190;

/// Less than what a pull answers with when it answers with as many messages as it is asked for.
pub const PULLED_LEAST: usize = 10_000;

/// `sysFlag` of a pull that brings its subscription along, does not commit an offset and does not
/// wait: no consumer has to be registered for it (`PullSysFlag` in the reference).
const SUBSCRIPTION_FLAG: &str = "4";

/// A send of a body of that size; `queue` may be -1, then the broker chooses.
#[must_use]
pub fn send(
    broker: &str,
    topic: &str,
    queue: i32,
    body: usize,
    serialize_type: SerializeType,
) -> RemotingCommand {
    let properties = "UNIQ_KEY\u{1}7F00000100002A9F0000000000000000\u{2}WAIT\u{1}true\u{2}";
    let fields = [
        ("a", "benchmark_producer"),
        ("b", topic),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", &queue.to_string()),
        ("f", "0"),
        ("g", "1763720000000"),
        ("h", "0"),
        ("i", properties),
        ("j", "0"),
        ("k", "false"),
        ("m", "false"),
        ("n", broker),
    ];
    with_fields(RequestCode::SEND_MESSAGE_V2, serialize_type, &fields).with_body(vec![b'x'; body])
}

/// A pull of the first messages of a queue.
#[must_use]
pub fn pull(
    broker: &str,
    topic: &str,
    queue: i32,
    group: &str,
    serialize_type: SerializeType,
) -> RemotingCommand {
    let fields = [
        ("bname", broker),
        ("commitOffset", "0"),
        ("consumerGroup", group),
        ("expressionType", "TAG"),
        ("maxMsgBytes", "262144"),
        ("maxMsgNums", &PULL_MESSAGES.to_string()),
        ("queueId", &queue.to_string()),
        ("queueOffset", "0"),
        ("subVersion", "0"),
        ("subscription", "*"),
        ("suspendTimeoutMillis", "15000"),
        ("sysFlag", SUBSCRIPTION_FLAG),
        ("topic", topic),
    ];
    with_fields(RequestCode::PULL_MESSAGE, serialize_type, &fields)
}

/// The heartbeat of a client that is in one producer group and these consumer groups, all of one
/// topic.
#[must_use]
pub fn heartbeat(
    client: &str,
    producer: &str,
    consumers: &[String],
    topic: &str,
) -> RemotingCommand {
    let consumers: Vec<_> = consumers
        .iter()
        .map(|group| {
            json!({
                "groupName": group,
                "consumeType": "CONSUME_PASSIVELY",
                "messageModel": "CLUSTERING",
                "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET",
                "unitMode": false,
                "subscriptionDataSet": [{
                    "topic": topic,
                    "subString": "*",
                    "tagsSet": [],
                    "codeSet": [],
                    "subVersion": 1_763_720_000_000_i64,
                    "expressionType": "TAG",
                    "classFilterMode": false,
                }],
            })
        })
        .collect();
    let body = json!({
        "clientID": client,
        "heartbeatFingerprint": 0,
        "withoutSub": false,
        "producerDataSet": [{"groupName": producer}],
        "consumerDataSet": consumers,
    });
    RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body.to_string())
}

/// Asks for a topic's route.
#[must_use]
pub fn route(topic: &str) -> RemotingCommand {
    RemotingCommand::request(RequestCode::GET_ROUTEINFO_BY_TOPIC)
        .with_field("topic", topic.to_owned())
        .with_field("acceptStandardJsonOnly", "true")
}

/// Has a broker make a topic.
#[must_use]
pub fn create_topic(topic: &str, queues: i32) -> RemotingCommand {
    let queues = queues.to_string();
    let fields = [
        ("topic", topic),
        ("defaultTopic", "TBW102"),
        ("readQueueNums", &queues),
        ("writeQueueNums", &queues),
        ("perm", "6"),
        ("topicFilterType", "SINGLE_TAG"),
        ("topicSysFlag", "0"),
        ("order", "false"),
    ];
    with_fields(
        RequestCode::UPDATE_AND_CREATE_TOPIC,
        SerializeType::Json,
        &fields,
    )
}

fn with_fields(
    code: RequestCode,
    serialize_type: SerializeType,
    fields: &[(&'static str, &str)],
) -> RemotingCommand {
    let ext_fields = fields
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).to_owned().into()));
    RemotingCommand {
        serialize_type,
        ext_fields: ext_fields.collect(),
        ..RemotingCommand::request(code)
    }
}

/// Makes a consumer group.
#[must_use]
pub fn create_group(group: &str) -> RemotingCommand {
    let config = json!({ "groupName": group });
    RemotingCommand::request(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP)
        .with_body(config.to_string())
}

/// Commits a group's offset in a queue.
#[must_use]
pub fn commit(group: &str, topic: &str, queue: i32, offset: i64) -> RemotingCommand {
    RemotingCommand::request(RequestCode::UPDATE_CONSUMER_OFFSET)
        .with_field("consumerGroup", group.to_owned())
        .with_field("topic", topic.to_owned())
        .with_field("queueId", queue.to_string())
        .with_field("commitOffset", offset.to_string())
}
