use remoting_codec::message::{PropertiesBuf, StoredVersion, TransactionType};

use super::*;
use crate::proto::MessageType;

const BORN: i64 = 1_795_910_400_123;

fn stored<'a>(topic: &'a str, properties: &'a PropertiesBuf) -> StoredMessage<'a> {
    StoredMessage {
        version: StoredVersion::V1,
        body_crc: 0,
        queue_id: 2,
        flag: 0,
        queue_offset: 105,
        commit_log_offset: 4711,
        sys_flag: SysFlag(0),
        born_time: BORN,
        born_host: "10.0.0.9:50123".parse().unwrap(),
        store_time: BORN + 5,
        store_host: "[2001:db8::2]:10911".parse().unwrap(),
        reconsume_times: 2,
        prepared_transaction_offset: 0,
        body: b"body",
        topic,
        properties: properties.as_properties(),
    }
}

fn buf(properties: &[(&str, &str)]) -> PropertiesBuf {
    let mut buf = PropertiesBuf::new();
    for (name, value) in properties {
        buf.push(name, value).unwrap();
    }
    buf
}

fn shown(message: &StoredMessage<'_>, received: Received<'_>) -> (Message, SystemProperties) {
    let message = super::received(message, Bytes::from_static(b"body"), received);
    let system = message.system_properties.clone().unwrap();
    (message, system)
}

fn in_group(group: &str) -> Received<'_> {
    Received {
        group,
        ..Received::default()
    }
}

#[test]
fn all_properties_are_shown() {
    let properties = buf(&[
        ("TAGS", "tag"),
        ("KEYS", "k1  k2 "),
        ("UNIQ_KEY", "id"),
        ("__BORNHOST", "host"),
        ("__SHARDINGKEY", "group"),
        ("TRACE_CONTEXT", "trace"),
        ("__LITE_TOPIC", "lite"),
        ("_SYS_MSG_PRIORITY_", "3"),
        ("TIMER_DELIVER_MS", "1795910403000"),
        ("DLQ_ORIGIN_TOPIC", "ns%T"),
        ("DLQ_ORIGIN_MESSAGE_ID", "origin"),
        ("colour", "grün"),
        ("PGROUP", "x"),
    ]);
    let received = Received {
        names: Names::new("ns").unwrap(),
        group: "ns%G",
        ..Received::default()
    };
    let (message, system) = shown(&stored("%DLQ%ns%G", &properties), received);
    assert_eq!(message.topic.unwrap().name, "%DLQ%G");
    let own: Vec<_> = message.user_properties.into_iter().collect();
    assert_eq!(own, [("colour".to_owned(), "grün".to_owned())]);
    assert_eq!(system.keys, ["k1", "k2"]);
    assert_eq!(system.message_id, "id");
    assert_eq!(system.message_type(), MessageType::Delay);
    assert_eq!(system.body_encoding(), Encoding::Identity);
    assert_eq!(system.born_host, "host");
    assert_eq!(system.store_host, "[2001:db8::2]:10911");
    assert_eq!(system.born_timestamp.unwrap().to_millis(), BORN);
    assert_eq!(system.store_timestamp.unwrap().to_millis(), BORN + 5);
    let delivery = system.delivery_timestamp.unwrap();
    assert_eq!(delivery.to_millis(), 1_795_910_403_000);
    assert_eq!((system.queue_id, system.queue_offset), (2, Some(105)));
    assert_eq!(system.delivery_attempt, Some(3));
    assert_eq!(system.message_group.as_deref(), Some("group"));
    assert_eq!(system.trace_context.as_deref(), Some("trace"));
    assert_eq!(system.lite_topic.as_deref(), Some("lite"));
    assert_eq!(
        (system.tag.as_deref(), system.priority),
        (Some("tag"), Some(3))
    );
    let dead = system.dead_letter_queue.unwrap();
    assert_eq!((&*dead.topic, &*dead.message_id), ("T", "origin"));
    let digest = system.body_digest.unwrap();
    assert_eq!((digest.r#type, digest.checksum.len()), (2, 32));
}

#[test]
fn a_message_without_properties_has_what_the_broker_knows() {
    let none = PropertiesBuf::new();
    let mut message = stored("T", &none);
    message.sys_flag = message.sys_flag.with(SysFlag::COMPRESSED);
    let (_, system) = shown(&message, in_group("G"));
    assert_eq!(system.message_id, message.offset_id().to_string());
    assert_eq!(system.born_host, "10.0.0.9");
    assert_eq!(system.message_type(), MessageType::Normal);
    assert_eq!(system.body_encoding(), Encoding::Gzip);
    assert_eq!(system.receipt_handle, None);
    assert_eq!((system.tag, system.keys.len()), (None, 0));
}

#[test]
fn types_follow_from_properties() {
    for (name, value, message_type) in [
        ("TRAN_MSG", "true", MessageType::Transaction),
        ("TRAN_MSG", "false", MessageType::Normal),
        ("DELAY", "3", MessageType::Delay),
        ("TIMER_DELAY_SEC", "3", MessageType::Delay),
        ("TIMER_DELAY_MS", "3", MessageType::Delay),
        ("__SHARDINGKEY", "g", MessageType::Fifo),
        ("_SYS_MSG_PRIORITY_", "0", MessageType::Priority),
        ("__LITE_TOPIC", "l", MessageType::Lite),
        ("colour", "red", MessageType::Normal),
    ] {
        let properties = buf(&[(name, value)]);
        let message = stored("T", &properties);
        let message = StoredMessage {
            sys_flag: message.sys_flag.with_transaction(TransactionType::Commit),
            ..message
        };
        let (_, system) = shown(&message, in_group("G"));
        assert_eq!(system.message_type(), message_type, "{name}");
    }
}

#[test]
fn retries_are_shown_under_their_topic() {
    let none = PropertiesBuf::new();
    let classic = buf(&[("RETRY_TOPIC", "ns%T")]);
    for (topic, properties, namespace, expected) in [
        ("%RETRY%ns%G_ns%T", &none, "ns", "T"),
        ("%RETRY%ns%G+ns%T", &none, "ns", "T"),
        ("%RETRY%ns%G", &classic, "ns", "T"),
        ("%RETRY%ns%G", &none, "ns", "%RETRY%G"),
        ("%RETRY%ns%H_ns%T", &none, "ns", "%RETRY%H_ns%T"),
        ("ns%T", &classic, "ns", "T"),
        ("ns%T", &none, "", "ns%T"),
    ] {
        let received = Received {
            names: Names::new(namespace).unwrap(),
            ..in_group("ns%G")
        };
        let (message, _) = shown(&stored(topic, properties), received);
        assert_eq!(message.topic.unwrap().name, expected, "{topic}");
    }
    // A question about a transaction is for no group.
    let (message, _) = shown(&stored("%RETRY%_T", &none), Received::default());
    assert_eq!(message.topic.unwrap().name, "%RETRY%_T");
}

#[test]
fn what_the_answer_to_a_pop_has_is_shown() {
    let none = PropertiesBuf::new();
    let handle = "100 1700000000000 60000 3 0 broker-a 2 105 4711";
    for (times, lite_offset, attempt, offset) in [(None, None, 3, 105), (Some(4), Some(17), 5, 17)]
    {
        let received = Received {
            popped: Some(PoppedMessage {
                handle: handle.to_owned(),
                reconsume_times: times,
                lite_offset,
            }),
            ..in_group("G")
        };
        let (_, system) = shown(&stored("T", &none), received);
        assert_eq!(system.receipt_handle.as_deref(), Some(handle));
        assert_eq!(system.delivery_attempt, Some(attempt));
        assert_eq!(system.queue_offset, Some(offset));
        assert_eq!(system.invisible_duration.unwrap().to_millis(), 60_000);
    }
}
