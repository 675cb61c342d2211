//! A message as a client sends it, to what a broker stores (`SendMessageActivity.buildMessage`).

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::PropertyError;
use remoting_codec::message::{Compression, PropertiesBuf, SysFlag, TransactionType, property};

use crate::check::{self, Limits};
use crate::error::CallError;
use crate::proto::{Code, Encoding, Message, MessageType, SystemProperties};

/// What a send knows beside the message.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The topic's name to brokers. It is the producer's group too, for producers have none here:
    /// the broker asks members of that group what becomes of a transaction.
    pub topic: &'a str,
    /// The client's address, for messages without the host that they were made at.
    pub remote: Option<SocketAddr>,
    /// Milliseconds since 1970.
    pub now: i64,
    /// For how long a broker does not ask about a transaction whose message has no such time. Each
    /// must have one: without, a commit right after a question is answered SUCCESS, and the
    /// question is repeated.
    pub recovery: Duration,
    /// What is allowed.
    pub limits: &'a Limits,
}

/// A message for SEND_MESSAGE, or for a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// The properties.
    pub properties: PropertiesBuf,
    /// Compression and transaction.
    pub sys_flag: SysFlag,
    /// When it was made: milliseconds since 1970.
    pub born_time: i64,
    /// What is special about it, by its properties: to be compared with the topic's type.
    pub message_type: MessageType,
    /// The body, which shares the memory of what was read.
    pub body: Bytes,
}

/// What a message's properties make of it (`TopicMessageType.parseFromMessageProperty`).
pub(super) fn type_of(has: impl Fn(&str) -> bool, is_transactional: bool) -> MessageType {
    const TIMERS: [&str; 4] = [
        property::DELAY,
        property::TIMER_DELIVER_MS,
        property::TIMER_DELAY_SEC,
        property::TIMER_DELAY_MS,
    ];
    if is_transactional {
        MessageType::Transaction
    } else if TIMERS.into_iter().any(&has) {
        MessageType::Delay
    } else if has(property::SHARDING_KEY) {
        MessageType::Fifo
    } else if has(property::PRIORITY) {
        MessageType::Priority
    } else if has(property::LITE_TOPIC) {
        MessageType::Lite
    } else {
        MessageType::Normal
    }
}

/// Checks the message and makes of it what a broker takes.
///
/// # Errors
/// The first thing that is not allowed.
pub fn outgoing(message: &Message, sender: &Sender<'_>) -> Result<Outgoing, CallError> {
    let absent = SystemProperties::default();
    let system = message.system_properties.as_ref().unwrap_or(&absent);
    let limits = sender.limits;
    check::body(message.body.len(), limits)?;
    let mut properties = application(message, system, limits)?;

    check::message_id(&system.message_id)?;
    push(&mut properties, property::UNIQ_KEY, &system.message_id)?;
    let is_transactional = system.message_type == i32::from(MessageType::Transaction);
    if is_transactional {
        transaction(system, sender, &mut properties)?;
    }
    if let Some(at) = system.delivery_timestamp {
        let at = at.to_millis();
        check::delivery_time(at, sender.now, limits)?;
        push(&mut properties, property::TIMER_DELIVER_MS, &at.to_string())?;
    }
    if let Some(priority) = system.priority {
        check::priority(priority)?;
        push(&mut properties, property::PRIORITY, &priority.to_string())?;
    }
    let attempt = system.delivery_attempt.unwrap_or_default();
    push(
        &mut properties,
        property::RECONSUME_TIME,
        &attempt.to_string(),
    )?;
    push(&mut properties, property::PGROUP, sender.topic)?;
    if let Some(group) = given(system.message_group.as_ref()) {
        check::message_group(group, limits)?;
        push(&mut properties, property::SHARDING_KEY, group)?;
    }
    if let Some(topic) = given(system.lite_topic.as_ref()) {
        check::lite_topic(topic, limits)?;
        push(&mut properties, property::LITE_TOPIC, topic)?;
    }
    if let Some(context) = given(system.trace_context.as_ref()) {
        push(&mut properties, property::TRACE_CONTEXT, context)?;
    }
    let born_time = born(system, sender, &mut properties)?;

    let as_properties = properties.as_properties();
    let message_type = type_of(|name| as_properties.contains(name), is_transactional);
    Ok(Outgoing {
        properties,
        sys_flag: sys_flag(system, is_transactional, &message.body),
        born_time,
        message_type,
        body: message.body.clone(),
    })
}

/// The application's own properties, tag and keys.
fn application(
    message: &Message,
    system: &SystemProperties,
    limits: &Limits,
) -> Result<PropertiesBuf, CallError> {
    let tag = given(system.tag.as_ref()).unwrap_or_default();
    check::tag(tag)?;
    let mut size = tag.len();
    for key in &system.keys {
        check::key(key)?;
        size = size.saturating_add(key.len());
    }
    let own = message.user_properties.iter();
    let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
    check::user_properties(own.clone(), size, limits)?;

    let mut properties = PropertiesBuf::new();
    for (name, value) in own {
        push(&mut properties, name, value)?;
    }
    push(&mut properties, property::TAGS, tag)?;
    push(
        &mut properties,
        property::KEYS,
        system.keys.join(" ").trim(),
    )?;
    Ok(properties)
}

fn transaction(
    system: &SystemProperties,
    sender: &Sender<'_>,
    properties: &mut PropertiesBuf,
) -> Result<(), CallError> {
    if system.delivery_timestamp.is_some() {
        // The broker takes it and delivers it when committed, or never (#10260).
        return Err(CallError::new(
            Code::MessagePropertyConflictWithType,
            "a transactional message cannot have a delivery time: leave one of them out",
        ));
    }
    let recovery = match system.orphaned_transaction_recovery_duration {
        Some(asked) => check::recovery_time(asked.to_millis(), sender.limits)?,
        None => sender.recovery,
    };
    push(properties, property::TRAN_MSG, "true")?;
    let seconds = recovery.as_secs().to_string();
    push(
        properties,
        property::CHECK_IMMUNITY_TIME_IN_SECONDS,
        &seconds,
    )
}

/// Where and when the message was made. A time that the client has not sent is now; the Java proxy
/// writes 1970.
fn born(
    system: &SystemProperties,
    sender: &Sender<'_>,
    properties: &mut PropertiesBuf,
) -> Result<i64, CallError> {
    let host = system.born_host.trim();
    if !host.is_empty() {
        push(properties, property::BORN_HOST, host)?;
    } else if let Some(remote) = sender.remote {
        // Brokers fail on an IPv6 address in brackets (#10591).
        let remote = match remote {
            SocketAddr::V4(remote) => remote.to_string(),
            SocketAddr::V6(remote) => remote.ip().to_string(),
        };
        push(properties, property::BORN_HOST, &remote)?;
    }
    let time = system.born_timestamp.filter(|time| time.is_valid());
    let Some(time) = time.map(|time| time.to_millis()) else {
        return Ok(sender.now);
    };
    push(properties, property::BORN_TIMESTAMP, &time.to_string())?;
    Ok(time)
}

/// As the Java proxy, what is compressed is marked and passed on as it is. Remoting
/// clients know LZ4, Zstandard and zlib, and take what is not marked as one of them for zlib: they
/// cannot read gzip.
fn sys_flag(system: &SystemProperties, is_transactional: bool, body: &[u8]) -> SysFlag {
    const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
    const LZ4: [u8; 4] = [0x04, 0x22, 0x4D, 0x18];
    let mut flag = SysFlag::default();
    if system.body_encoding == i32::from(Encoding::Gzip) {
        flag = match body {
            _ if body.starts_with(&ZSTD) => flag.with_compression(Some(Compression::Zstd)),
            _ if body.starts_with(&LZ4) => flag.with_compression(Some(Compression::Lz4)),
            _ => flag.with(SysFlag::COMPRESSED),
        };
    }
    match is_transactional {
        true => flag.with_transaction(TransactionType::Prepared),
        false => flag,
    }
}

/// What is there and not empty.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// Adds a property that has a value.
fn push(properties: &mut PropertiesBuf, name: &str, value: &str) -> Result<(), CallError> {
    match properties.push(name, value) {
        Ok(()) | Err(PropertyError::Empty) => Ok(()),
        Err(error @ PropertyError::TooLong) => {
            let message = format!("{error}: send fewer or shorter ones");
            Err(CallError::new(Code::MessagePropertiesTooLarge, message))
        }
        Err(error) => {
            let message = format!("{error}: {name}");
            Err(CallError::new(Code::IllegalMessagePropertyKey, message))
        }
    }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
