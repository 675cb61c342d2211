//! Messages that real brokers have handed out, as clients get them: `remoting-codec/tests/golden`
//! has the bytes and what Java makes of them.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use grpc::convert::{Received, received};
use grpc::proto::{Encoding, Message, SystemProperties};
use messaging::PopAnswer;
use remoting_codec::CommandView;
use remoting_codec::headers::{Header, PopMessageResponse};
use remoting_codec::message::{StoredMessages, property};
use serde::Deserialize;

/// What Java makes of a message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decoded {
    queue_id: i32,
    queue_offset: i64,
    commit_log_offset: i64,
    sys_flag: i32,
    born_time: i64,
    store_time: i64,
    body: String,
    topic: String,
    properties: BTreeMap<String, String>,
    offset_msg_id: String,
    reconsume_times: i32,
    receipt: Option<String>,
    times_after_pop: Option<i32>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../remoting-codec/tests/golden/messages")
}

/// The messages of a file as its group would get them.
fn shown(name: &str, group: &str) -> Vec<Message> {
    let file = Bytes::from(fs::read(folder().join(name)).unwrap());
    let view = CommandView::decode_upstream(&file);
    let body = match &view {
        Ok(view) if !name.ends_with(".message.bin") => file.slice(view.body_range()),
        _ => file.clone(),
    };
    let answer = view.as_ref().ok();
    let answer = answer.and_then(|view| PopMessageResponse::read(view.ext_fields()).ok());
    let answer = answer.filter(|_| name.starts_with("pop"));
    let messages = StoredMessages::new(&body).map(|message| {
        let message = message.unwrap();
        let popped = answer.map(|answer| {
            let answer = PopAnswer::Queues(answer);
            answer.message(0, &message, "broker-a").unwrap()
        });
        let seen = Received {
            group,
            popped,
            ..Received::default()
        };
        received(&message, body.slice_ref(message.body), seen)
    });
    messages.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn system(message: &Message) -> &SystemProperties {
    message.system_properties.as_ref().unwrap()
}

#[test]
fn messages_are_shown_as_java_shows_them() {
    let decoded = fs::read_to_string(folder().join("decoded.json")).unwrap();
    let decoded: BTreeMap<String, Vec<Decoded>> = serde_json::from_str(&decoded).unwrap();
    assert!(decoded.len() > 10);
    for (name, java) in decoded {
        let messages = shown(&name, "golden-retriers");
        assert_eq!(messages.len(), java.len(), "{name}");
        for (message, java) in messages.iter().zip(java) {
            let of_java = |name| java.properties.get(name).map(String::as_str);
            let system = system(message);
            let topic = of_java(property::RETRY_TOPIC).unwrap_or(&java.topic);
            assert_eq!(message.topic.as_ref().unwrap().name, topic, "{name}");
            assert_eq!(hex(&message.body), java.body);
            assert_eq!(
                (system.queue_id, system.queue_offset),
                (java.queue_id, Some(java.queue_offset))
            );
            let id = of_java(property::UNIQ_KEY).unwrap_or(&java.offset_msg_id);
            assert_eq!(system.message_id, id);
            assert_eq!(system.tag.as_deref(), of_java(property::TAGS));
            assert_eq!(
                system.keys.join(" "),
                of_java(property::KEYS).unwrap_or_default()
            );
            assert_eq!(system.born_timestamp.unwrap().to_millis(), java.born_time);
            assert_eq!(system.store_timestamp.unwrap().to_millis(), java.store_time);
            let is_compressed = system.body_encoding() == Encoding::Gzip;
            assert_eq!(is_compressed, java.sys_flag & 1 == 1);
            let own = java.properties.iter();
            let own = own.filter(|(name, _)| !property::is_reserved(name));
            let shown: BTreeMap<_, _> = message.user_properties.iter().collect();
            assert_eq!(shown, own.collect());
            let times = java.times_after_pop.unwrap_or(java.reconsume_times);
            assert_eq!(system.delivery_attempt, Some(times + 1), "{name}");
            let handle = java
                .receipt
                .map(|receipt| format!("{receipt} {}", java.commit_log_offset));
            assert_eq!(system.receipt_handle, handle, "{name}");
        }
    }
}

#[test]
fn retries_of_pop_are_shown_under_their_topic() {
    let group = format!("golden-{}", "g".repeat(40));
    let messages = shown("pull-long-topic.response.bin", &group);
    let topic = messages[0].topic.clone().unwrap().name;
    assert!(topic.starts_with("GoldenLongg"), "{topic}");
}
