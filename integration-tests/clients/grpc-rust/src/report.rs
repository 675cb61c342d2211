//! Writes what happened, one JSON object a line, and bodies that can be checked on arrival.

use std::time::{SystemTime, UNIX_EPOCH};

use rocketmq::model::message::MessageView;
use serde_json::{Value, json};

const END_OF_NAME: char = '|';

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Reports an event with fields.
pub(crate) fn emit(event: &str, mut fields: Value) {
    fields["event"] = json!(event);
    fields["at"] = json!(now_ms());
    println!("{fields}");
}

/// Reports a message that arrived.
pub(crate) fn received(message: &MessageView) {
    let body = message.body();
    let fields = json!({
        "body": body_name(body),
        "size": body.len(),
        "intact": is_intact(body),
        "topic": message.topic(),
        "tag": message.tag(),
        "keys": message.keys(),
        "properties": message.properties(),
        "message_group": message.message_group(),
        "id": message.message_id(),
        "reconsume_times": message.delivery_attempt() - 1,
    });
    emit("received", fields);
}

/// A name, then padding that follows from the length alone, so that a body that was cut, mixed up
/// or not decompressed is noticed. At least `size` bytes; just the name when it is that long
/// already.
pub(crate) fn body(name: &str, size: usize) -> Vec<u8> {
    if size <= name.len() {
        return name.as_bytes().to_vec();
    }
    let mut body = format!("{name}{END_OF_NAME}").into_bytes();
    body.extend((body.len()..size).map(padding));
    body
}

fn padding(position: usize) -> u8 {
    b'a' + (position % 23) as u8
}

pub(crate) fn body_name(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let name = text.split(END_OF_NAME).next();
    name.unwrap_or_default().to_owned()
}

fn is_intact(whole: &[u8]) -> bool {
    let name = body_name(whole);
    whole == name.as_bytes() || whole == body(&name, whole.len())
}
