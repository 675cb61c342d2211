//! A message as a client sends it, to what a broker stores.

use messaging::{Draft, Outgoing, Sender};
use remoting_codec::message::{Compression, SysFlag};

use crate::error::CallError;
use crate::proto::{Encoding, Message, MessageType, SystemProperties};

/// Checks the message and makes of it what a broker takes.
///
/// # Errors
/// The first thing that is not allowed.
pub fn outgoing(message: &Message, sender: &Sender<'_>) -> Result<Outgoing, CallError> {
    let absent = SystemProperties::default();
    let system = message.system_properties.as_ref().unwrap_or(&absent);
    let properties = message.user_properties.iter();
    let born_time = system.born_timestamp.filter(|time| time.is_valid());
    let recovery = system.orphaned_transaction_recovery_duration;
    let draft = Draft {
        body: &message.body,
        sys_flag: compression(system, &message.body),
        tag: given(system.tag.as_ref()),
        keys: system.keys.iter().map(String::as_str),
        properties: properties.map(|(name, value)| (name.as_str(), value.as_str())),
        message_group: given(system.message_group.as_ref()),
        lite_topic: given(system.lite_topic.as_ref()),
        delivery_time: system.delivery_timestamp.map(|time| time.to_millis()),
        priority: system.priority,
        is_transactional: system.message_type == i32::from(MessageType::Transaction),
        check_time: recovery.map(|time| time.to_millis()),
        attempt: Some(system.delivery_attempt.unwrap_or_default()),
        trace_context: given(system.trace_context.as_ref()),
        born_host: &system.born_host,
        born_time: born_time.map(|time| time.to_millis()),
        // Clients make one for each message.
        message_id: Some(&system.message_id),
    };
    Ok(draft.finish(sender)?)
}

/// As the Java proxy, what is compressed is marked and passed on as it is. Remoting clients know
/// LZ4, Zstandard and zlib, and take what is not marked as one of them for zlib: they cannot read
/// gzip.
fn compression(system: &SystemProperties, body: &[u8]) -> SysFlag {
    const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
    const LZ4: [u8; 4] = [0x04, 0x22, 0x4D, 0x18];
    let flag = SysFlag::default();
    if system.body_encoding != i32::from(Encoding::Gzip) {
        return flag;
    }
    match body {
        _ if body.starts_with(&ZSTD) => flag.with_compression(Some(Compression::Zstd)),
        _ if body.starts_with(&LZ4) => flag.with_compression(Some(Compression::Lz4)),
        _ => flag.with(SysFlag::COMPRESSED),
    }
}

/// The text; empty if it is absent.
fn given(text: Option<&String>) -> &str {
    text.map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
