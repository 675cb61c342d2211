//! What clients and servers send: of each kind, the input that costs most in the fewest bytes.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use integration_tests::abuse::{Request, frame};
use integration_tests::fake::{FakeBroker, FakeNameServer, Reply};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use serde_json::json;

/// The default of `limits.header_bytes`, and the most that it can be.
const HEADER: usize = 64 * 1024;
const LONGEST_HEADER: usize = 256 * 1024;

/// The longest body that a worker reads itself (`LONG` of `session/bodies.rs`), and the longest of
/// any request but a heartbeat (`BODY_MAX`).
const BODY: usize = 64 * 1024;
const LONGEST_BODY: usize = 1024 * 1024;

/// A topic, and one that is on all brokers.
const TOPIC: &str = "known";
const WIDE: &str = "wide";

/// How many brokers that topic is on.
const BROKERS: usize = 800;

/// How many messages a POP can be answered with (`PopMessageProcessor.processRequest`).
const POPPED: usize = 32;

/// When a POP is answered: its client has disconnected by then.
const LATE: Duration = Duration::from_millis(500);

/// The length of a header of which many arrive together.
const SHORT: usize = 1000;

/// Bytes for a connection.
pub(super) struct Input {
    pub(super) name: &'static str,
    /// Frames that are sent first, one by one, each with an answer.
    pub(super) before: Vec<Vec<u8>>,
    pub(super) bytes: Vec<u8>,
    /// How many answers are due at most.
    pub(super) answers: usize,
    /// How long the work that an input causes may take after it.
    pub(super) settle: Duration,
}

impl Input {
    fn new(name: &'static str, frame: &[u8], times: usize) -> Self {
        Self {
            name,
            before: vec![route(TOPIC).to_frame(1)],
            bytes: frame.repeat(times),
            answers: times,
            settle: Duration::from_millis(100),
        }
    }
}

/// The servers behind the proxy.
pub(super) async fn upstream(broker: &str) -> Result<(FakeNameServer, FakeBroker)> {
    let first = FakeBroker::start(broker).await?;
    let name_server = FakeNameServer::start(&[&first]).await?;
    name_server.add_topic(TOPIC, &[broker]);
    let others: Vec<String> = (0..BROKERS).map(|nth| format!("{broker}-{nth}")).collect();
    for other in &others {
        name_server.add_broker(other, &[(0, first.address()), (1, first.address())]);
    }
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    name_server.add_topic(WIDE, &others);
    first.on(RequestCode::POP_MESSAGE, Reply::Late(LATE, popped()));
    Ok((name_server, first))
}

/// All of them.
pub(super) fn inputs(broker: &str) -> Vec<Input> {
    let odd = |size| odd_json(broker, size);
    let gone = Input {
        answers: 0,
        settle: 4 * LATE,
        before: vec![heartbeat("popper", 1).to_frame(1)],
        ..Input::new("a POP whose client is gone", &pop(broker).to_frame(2), 4)
    };
    vec![
        Input::new("sends, many at once", &send(broker).to_frame(1), 200),
        Input::new("an odd JSON header of 64 KB", &odd(HEADER), 1),
        Input::new("odd JSON headers of 64 KB, two at once", &odd(HEADER), 2),
        Input::new("odd JSON headers of 1 KB, many at once", &odd(SHORT), 100),
        Input::new("an odd JSON header of 256 KB", &odd(LONGEST_HEADER), 1),
        Input::new(
            "a nested JSON header of 64 KB",
            &nested_json(broker, HEADER),
            1,
        ),
        Input::new(
            "a nested JSON header of 256 KB",
            &nested_json(broker, LONGEST_HEADER),
            1,
        ),
        Input::new(
            "a JSON header of 64 KB, of hard numbers",
            &numbers_json(broker, HEADER),
            1,
        ),
        Input::new(
            "a JSON header of 64 KB, of hard numbers in quotes",
            &quoted_numbers_json(broker, HEADER),
            1,
        ),
        Input::new(
            "a heartbeat behind an odd JSON header of 64 KB",
            &odd_before(
                RequestCode::HEART_BEAT,
                HEADER,
                r#"{"clientID":"odd","producerDataSet":[],"consumerDataSet":[]}"#,
            ),
            1,
        ),
        Input::new(
            "a lock behind an odd JSON header of 64 KB",
            &odd_before(
                RequestCode::LOCK_BATCH_MQ,
                HEADER,
                r#"{"clientId":"odd","consumerGroup":"attackers","mqSet":[]}"#,
            ),
            1,
        ),
        Input::new(
            "a JSON header of 256 KB, of hard numbers",
            &numbers_json(broker, LONGEST_HEADER),
            1,
        ),
        Input::new(
            "a plain JSON header of 256 KB",
            &plain_json(broker, LONGEST_HEADER),
            1,
        ),
        Input::new(
            "a plain binary header of 256 KB",
            &binary(broker, LONGEST_HEADER, "7", b""),
            1,
        ),
        Input::new(
            "an odd binary header of 256 KB",
            &binary(broker, LONGEST_HEADER, "", b"trailing"),
            1,
        ),
        Input::new(
            "an odd binary header of 64 KB",
            &binary(broker, HEADER, "", b"trailing"),
            1,
        ),
        Input::new(
            "a heartbeat of 64 KB",
            &heartbeat("short", BODY).to_frame(1),
            1,
        ),
        Input::new(
            "a heartbeat of 1 MB",
            &heartbeat("long", LONGEST_BODY).to_frame(1),
            1,
        ),
        Input::new("a route of 800 brokers", &route(WIDE).to_frame(1), 1),
        Input::new(
            "routes of 800 brokers, many at once",
            &route(WIDE).to_frame(1),
            16,
        ),
        Input::new("a lock of 64 KB", &lock(broker, BODY).to_frame(1), 1),
        Input::new("a lock of 1 MB", &lock(broker, LONGEST_BODY).to_frame(1), 1),
        Input::new("receipts of 64 KB", &receipts(broker, BODY).to_frame(1), 1),
        gone,
    ]
}

/// Names of ext fields that differ.
fn names() -> impl Iterator<Item = String> {
    (0_u32..).map(|nth| format!("{nth:x}"))
}

/// The header that has `first`, and then as many fields as make it this long.
fn json_header(size: usize, first: &str, field: impl Fn(&str) -> String) -> Vec<u8> {
    json_frame(RequestCode::SEND_MESSAGE_V2, size, first, field, b"")
}

fn json_frame(
    code: RequestCode,
    size: usize,
    first: &str,
    field: impl Fn(&str) -> String,
    body: &[u8],
) -> Vec<u8> {
    let code = code.0;
    let mut header = format!(r#"{{"code":{code},"opaque":1,"flag":0,"extFields":{{{first}"#);
    for name in names() {
        let field = field(&name);
        if header.len() + field.len() + 2 > size {
            break;
        }
        header.push_str(&field);
    }
    header.push_str("}}");
    frame(0, header.as_bytes(), body)
}

/// Fields of a send.
fn fields(broker: &str) -> String {
    format!(r#""b":"{TOPIC}","e":"0","n":"{broker}","a":"attackers""#)
}

/// Numbers where there is text in what clients write.
fn odd_json(broker: &str, size: usize) -> Vec<u8> {
    json_header(size, &fields(broker), |name| format!(",\"{name}\":7"))
}

/// Objects where there is text.
fn nested_json(broker: &str, size: usize) -> Vec<u8> {
    json_header(size, &fields(broker), |name| {
        format!(",\"{name}\":{{\"a\":[1,{{\"b\":7}}]}}")
    })
}

/// Numbers that are hard to read: the nearest double has to be found, of 38 digits, and it is one
/// of the smallest.
fn numbers_json(broker: &str, size: usize) -> Vec<u8> {
    json_header(size, &fields(broker), |name| {
        format!(",\"{name}\":22250738585072011360574097967091319759e-345")
    })
}

/// The same in quotes, as a number of the header itself, again and again.
fn quoted_numbers_json(broker: &str, size: usize) -> Vec<u8> {
    let number = r#""flag":"22250738585072011360574097967091319759e-345","#;
    let fields = fields(broker);
    let end = format!(r#""flag":0,"extFields":{{{fields}}}}}"#);
    let mut header = r#"{"code":310,"opaque":1,"#.to_owned();
    while header.len() + number.len() + end.len() <= size {
        header.push_str(number);
    }
    header.push_str(&end);
    frame(0, header.as_bytes(), b"")
}

/// An odd header before the body of a request that becomes a task.
fn odd_before(request: RequestCode, size: usize, body: &str) -> Vec<u8> {
    let field = |name: &str| format!(",\"{name}\":7");
    json_frame(request, size, r#""z":7"#, field, body.as_bytes())
}

fn plain_json(broker: &str, size: usize) -> Vec<u8> {
    json_header(size, &fields(broker), |name| format!(",\"{name}\":\"\""))
}

/// Names without values are read again and again; those of a plain header have some.
fn binary(broker: &str, size: usize, value: &str, trailing: &[u8]) -> Vec<u8> {
    let mut request = send(broker).body("");
    let mut left = size - 200;
    for name in names() {
        let length = 2 + name.len() + 4 + value.len();
        if length > left {
            break;
        }
        left -= length;
        request = request.field_unchecked(name, value);
    }
    request.to_binary_frame(1, trailing)
}

fn send(broker: &str) -> Request {
    Request::new(RequestCode::SEND_MESSAGE_V2)
        .field("a", "attackers")
        .field("b", TOPIC)
        .field("e", 0)
        .field("n", broker)
        .body("x")
}

fn route(topic: &str) -> Request {
    Request::new(RequestCode::GET_ROUTEINFO_BY_TOPIC).field("topic", topic)
}

fn pop(broker: &str) -> Request {
    Request::new(RequestCode::POP_MESSAGE)
        .field("consumerGroup", "attackers")
        .field("topic", TOPIC)
        .field("queueId", -1)
        .field("maxMsgNums", POPPED)
        .field("invisibleTime", 60_000)
        .field("pollTime", 10_000)
        .field("bornTime", 0)
        .field("initMode", 0)
        .field("bname", broker)
}

/// An answer with messages of as many queues.
fn popped() -> RemotingCommand {
    let (mut starts, mut offsets) = (String::new(), String::new());
    for queue in 0..POPPED {
        let _ = write!(starts, "0 {queue} 100;");
        let _ = write!(offsets, "0 {queue} 100;");
    }
    RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
        .with_field("startOffsetInfo", starts)
        .with_field("msgOffsetInfo", offsets)
        .with_field("popTime", "1700000000000")
        .with_field("invisibleTime", "60000")
        .with_field("reviveQid", "0")
}

/// As many topics as fit.
fn heartbeat(id: &str, size: usize) -> Request {
    let mut topics = format!(r#"{{"topic":"{TOPIC}","subString":"*"}}"#);
    for name in names() {
        let topic = format!(r#",{{"topic":"t{name}","subString":"*"}}"#);
        if topics.len() + topic.len() + 300 > size {
            break;
        }
        topics.push_str(&topic);
    }
    Request::new(RequestCode::HEART_BEAT).body(format!(
        r#"{{"clientID":"{id}","producerDataSet":[],"consumerDataSet":[{{"groupName":"attackers","messageModel":"CLUSTERING","subscriptionDataSet":[{topics}]}}]}}"#
    ))
}

/// As many queues as fit, of topics that are not there but for the first.
fn lock(broker: &str, size: usize) -> Request {
    let head = r#"{"clientId":"c","consumerGroup":"attackers","mqSet":["#;
    let mut body = head.to_owned();
    let topics = std::iter::once(TOPIC.to_owned()).chain(names());
    for (nth, topic) in topics.enumerate() {
        let comma = if nth > 0 { "," } else { "" };
        let queue =
            format!(r#"{comma}{{"brokerName":"{broker}","queueId":{nth},"topic":"{topic}"}}"#);
        if body.len() + queue.len() + 2 > size {
            break;
        }
        body.push_str(&queue);
    }
    body.push_str("]}");
    Request::new(RequestCode::LOCK_BATCH_MQ).body(body)
}

fn receipts(broker: &str, size: usize) -> Request {
    let one = json!({"c": "attackers", "t": TOPIC, "r": "0", "q": 0, "rq": 0, "so": 0, "pt": 0, "it": 0, "b": [1]});
    let one = one.to_string();
    let count = (size - 200) / (one.len() + 1);
    let all = vec![one.as_str(); count].join(",");
    Request::new(RequestCode::BATCH_ACK_MESSAGE).body(format!(
        r#"{{"brokerName":"{broker}","consumerGroup":"attackers","acks":[{all}]}}"#
    ))
}
