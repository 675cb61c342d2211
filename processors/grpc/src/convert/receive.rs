//! A message as a broker hands it out, to what a client gets (`GrpcConverter.buildMessage`).

use std::borrow::Cow;

use bytes::Bytes;
use messaging::digest::md5;
use messaging::{PoppedMessage, stored};
use remoting_codec::message::{Properties, Receipt, StoredMessage, SysFlag, property};

use super::namespace::Names;
use super::queues::message_type;
use crate::proto::{
    DeadLetterQueue, Digest, DigestType, Duration, Encoding, Message, Resource, SystemProperties,
    Timestamp,
};

/// The consumer of a message, and what the broker's answer has of it.
#[derive(Clone, Debug, Default)]
pub struct Received<'a> {
    /// How topics and groups are named in the namespace of the call.
    pub names: Names<'a>,
    /// The namespace that the call's topic has named by itself.
    pub resource_namespace: &'a str,
    /// The consumer's group, by its name to brokers. Empty when there is none, as for a producer.
    pub group: &'a str,
    /// What the answer to its POP has of the message, if it was popped.
    pub popped: Option<PoppedMessage>,
}

/// The message as its client gets it. `body` is the message's, as a slice of what was read: it is
/// not copied. A compressed one stays so: clients look at its first bytes for how.
#[must_use]
pub fn received(message: &StoredMessage<'_>, body: Bytes, received: Received<'_>) -> Message {
    let properties = message.properties;
    let topic = stored::topic(message, received.group);
    let own = stored::own_properties(&properties);
    Message {
        topic: Some(received.names.shown(received.resource_namespace, &topic)),
        user_properties: own
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect(),
        system_properties: Some(system_properties(message, &body, received)),
        body,
    }
}

fn system_properties(
    message: &StoredMessage<'_>,
    body: &[u8],
    received: Received<'_>,
) -> SystemProperties {
    let properties = message.properties;
    let text = |name| properties.get(name).map(Cow::into_owned);
    let encoding = match message.sys_flag.has(SysFlag::COMPRESSED) {
        true => Encoding::Gzip,
        false => Encoding::Identity,
    };
    let popped = received.popped.as_ref();
    let attempt = match popped {
        Some(popped) => popped.attempt(message),
        None => message.reconsume_times.saturating_add(1),
    };
    let receipt = popped.and_then(|popped| Receipt::parse(&popped.handle).ok());
    let lite_offset = popped.and_then(|popped| popped.lite_offset);
    SystemProperties {
        tag: text(property::TAGS),
        keys: stored::keys(&properties),
        message_id: stored::message_id(message),
        body_digest: Some(digest(body)),
        body_encoding: encoding.into(),
        message_type: message_type(stored::kind(&properties)).into(),
        born_timestamp: Some(Timestamp::from_millis(message.born_time)),
        born_host: stored::born_host(message),
        store_timestamp: Some(Timestamp::from_millis(message.store_time)),
        store_host: message.store_host.to_string(),
        delivery_timestamp: stored::delivery_time(&properties).map(Timestamp::from_millis),
        invisible_duration: receipt.map(|receipt| Duration::from_millis(receipt.invisible_time)),
        queue_id: message.queue_id,
        queue_offset: lite_offset.or(Some(message.queue_offset)),
        delivery_attempt: Some(attempt),
        message_group: text(property::SHARDING_KEY),
        trace_context: text(property::TRACE_CONTEXT),
        orphaned_transaction_recovery_duration: None,
        dead_letter_queue: dead_letter(&properties, received.names, received.resource_namespace),
        lite_topic: text(property::LITE_TOPIC),
        priority: stored::number(&properties, property::PRIORITY),
        // The last, because it is moved.
        receipt_handle: received.popped.map(|popped| popped.handle),
    }
}

/// The digest of a body: MD5, the only one that all clients check alike. A body with another is
/// taken for corrupted, one with none at least by some.
fn digest(body: &[u8]) -> Digest {
    Digest {
        r#type: DigestType::Md5.into(),
        checksum: md5(body),
    }
}

/// The topic and the id that a message had before it became a dead letter; `None` for any other.
fn dead_letter(
    properties: &Properties<'_>,
    names: Names<'_>,
    namespace: &str,
) -> Option<DeadLetterQueue> {
    let (topic, message_id) = stored::dead_letter(properties)?;
    let Resource { name: topic, .. } = names.shown(namespace, &topic);
    Some(DeadLetterQueue {
        topic,
        message_id: message_id.into_owned(),
    })
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
