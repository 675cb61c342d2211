use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use messaging::MessageKind;
use messaging::check::Limits;
use remoting_codec::message::TransactionType;

use super::*;
use crate::proto::{Code, Duration as ProtoDuration, Timestamp};

const NOW: i64 = 1_795_910_400_000;

fn message(system: SystemProperties) -> Message {
    Message {
        topic: None,
        user_properties: [("color".to_owned(), "red".to_owned())].into(),
        system_properties: Some(SystemProperties {
            message_id: "01F0B1D2C3A4E50A1B06C6F6D200000000".to_owned(),
            ..system
        }),
        body: Bytes::from_static(b"body"),
    }
}

fn sent(message: &Message) -> Result<Outgoing, CallError> {
    let limits = Limits::default();
    let sender = Sender {
        topic: "ns%T",
        remote: Some("[2001:db8::1]:4711".parse().unwrap()),
        now: NOW,
        recovery: Duration::from_secs(60),
        limits: &limits,
    };
    outgoing(message, &sender)
}

fn properties(outgoing: &Outgoing) -> BTreeMap<String, String> {
    let properties = outgoing.properties.as_properties();
    let owned = properties.iter();
    owned
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn expect(found: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    let found = found.iter().map(|(name, value)| (&**name, &**value));
    let mut expected = expected.to_vec();
    expected.extend([
        ("PGROUP", "ns%T"),
        ("UNIQ_KEY", "01F0B1D2C3A4E50A1B06C6F6D200000000"),
        ("color", "red"),
    ]);
    expected.sort_unstable();
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn an_ordinary_message_has_its_properties() {
    let message = message(SystemProperties {
        tag: Some("tag".to_owned()),
        keys: vec!["k1".to_owned(), "k2".to_owned()],
        born_host: "host".to_owned(),
        born_timestamp: Some(Timestamp::from_millis(NOW - 5)),
        trace_context: Some("trace".to_owned()),
        delivery_attempt: Some(3),
        ..SystemProperties::default()
    });
    let sent = sent(&message).unwrap();
    expect(
        &properties(&sent),
        &[
            ("TAGS", "tag"),
            ("KEYS", "k1 k2"),
            ("__BORNHOST", "host"),
            ("BORN_TIMESTAMP", "1795910399995"),
            ("TRACE_CONTEXT", "trace"),
            ("RECONSUME_TIME", "3"),
        ],
    );
    assert_eq!(sent.kind, MessageKind::Normal);
    assert_eq!((sent.sys_flag, sent.born_time), (SysFlag(0), NOW - 5));
    assert_eq!(sent.body.as_ptr(), message.body.as_ptr());
}

#[test]
fn what_a_client_leaves_out_is_added() {
    let sent = sent(&message(SystemProperties::default())).unwrap();
    let added = [("__BORNHOST", "2001:db8::1"), ("RECONSUME_TIME", "0")];
    expect(&properties(&sent), &added);
    assert_eq!(sent.born_time, NOW);
}

#[test]
fn types_follow_from_properties() {
    let text = |text: &str| Some(text.to_owned());
    for (system, name, value, kind) in [
        (
            SystemProperties {
                message_group: text("group"),
                ..SystemProperties::default()
            },
            "__SHARDINGKEY",
            "group",
            MessageKind::Fifo,
        ),
        (
            SystemProperties {
                delivery_timestamp: Some(Timestamp::from_millis(NOW + 3_000)),
                message_group: text("group"),
                ..SystemProperties::default()
            },
            "TIMER_DELIVER_MS",
            "1795910403000",
            MessageKind::Delay,
        ),
        (
            SystemProperties {
                priority: Some(0),
                ..SystemProperties::default()
            },
            "_SYS_MSG_PRIORITY_",
            "0",
            MessageKind::Priority,
        ),
        (
            SystemProperties {
                lite_topic: text("lite"),
                ..SystemProperties::default()
            },
            "__LITE_TOPIC",
            "lite",
            MessageKind::Lite,
        ),
    ] {
        let sent = sent(&message(system)).unwrap();
        assert_eq!(sent.kind, kind);
        assert_eq!(properties(&sent).get(name).map(String::as_str), Some(value));
        assert_eq!(sent.sys_flag, SysFlag(0));
    }
}

#[test]
fn transactions_say_how_long_they_are_not_asked_after() {
    for (asked, seconds) in [
        (None, "60"),
        (Some(90_000), "90"),
        (Some(1_500), "2"),
        (Some(0), "1"),
    ] {
        let message = message(SystemProperties {
            message_type: MessageType::Transaction.into(),
            orphaned_transaction_recovery_duration: asked.map(ProtoDuration::from_millis),
            ..SystemProperties::default()
        });
        let sent = sent(&message).unwrap();
        assert_eq!(sent.sys_flag.transaction(), TransactionType::Prepared);
        assert_eq!(sent.kind, MessageKind::Transaction);
        let properties = properties(&sent);
        assert_eq!(properties["TRAN_MSG"], "true");
        assert_eq!(properties["CHECK_IMMUNITY_TIME_IN_SECONDS"], seconds);
    }
}

#[test]
fn compression_is_passed_on() {
    let gzip = Encoding::Gzip.into();
    for (encoding, body, flag) in [
        (Encoding::Identity.into(), &b"\x1f\x8b"[..], 0),
        (gzip, b"\x1f\x8b", 1),
        (gzip, b"\x78\x9c", 1),
        (gzip, b"\x04\x22\x4d\x18", 0x101),
        (gzip, b"\x28\xb5\x2f\xfd", 0x201),
    ] {
        let mut message = message(SystemProperties {
            body_encoding: encoding,
            ..SystemProperties::default()
        });
        message.body = Bytes::copy_from_slice(body);
        assert_eq!(sent(&message).unwrap().sys_flag, SysFlag(flag), "{body:?}");
    }
}

#[test]
fn what_is_not_allowed_is_refused() {
    type Change = fn(&mut Message, &mut SystemProperties);
    let cases: [(Code, Change); 13] = [
        (Code::MessageBodyEmpty, |message, _| {
            message.body = Bytes::new()
        }),
        (Code::IllegalMessageId, |_, system| {
            system.message_id.clear()
        }),
        (Code::IllegalMessageTag, |_, system| {
            system.tag = Some("a|b".to_owned())
        }),
        (Code::IllegalMessageKey, |_, system| {
            system.keys = vec![" ".to_owned()]
        }),
        (Code::IllegalMessageGroup, |_, system| {
            system.message_group = Some("g".repeat(64));
        }),
        (Code::IllegalLiteTopic, |_, system| {
            system.lite_topic = Some("a%b".to_owned())
        }),
        (Code::IllegalDeliveryTime, |_, system| {
            system.delivery_timestamp = Some(Timestamp::from_millis(NOW + 86_400_001));
        }),
        (Code::BadRequest, |_, system| system.priority = Some(-1)),
        (Code::BadRequest, |_, system| {
            system.message_type = MessageType::Transaction.into();
            let hours = ProtoDuration::from_millis(7_200_000);
            system.orphaned_transaction_recovery_duration = Some(hours);
        }),
        (Code::MessagePropertyConflictWithType, |_, system| {
            system.message_type = MessageType::Transaction.into();
            system.delivery_timestamp = Some(Timestamp::from_millis(NOW));
        }),
        (Code::IllegalMessagePropertyKey, |message, _| {
            message
                .user_properties
                .insert("PGROUP".to_owned(), "x".to_owned());
        }),
        (Code::IllegalMessagePropertyKey, |_, system| {
            system.trace_context = Some("a\u{2}TRAN_MSG\u{1}true".to_owned());
        }),
        (Code::MessagePropertiesTooLarge, |_, system| {
            system.trace_context = Some("t".repeat(40_000));
        }),
    ];
    for (code, change) in cases {
        let mut message = message(SystemProperties::default());
        let mut system = message.system_properties.take().unwrap();
        change(&mut message, &mut system);
        message.system_properties = Some(system);
        assert_eq!(sent(&message).unwrap_err().code, code);
    }
    let bare = Message {
        system_properties: None,
        ..message(SystemProperties::default())
    };
    assert_eq!(sent(&bare).unwrap_err().code, Code::IllegalMessageId);
}
