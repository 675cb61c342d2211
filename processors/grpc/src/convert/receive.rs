//! A message as a broker hands it out, to what a client gets (`GrpcConverter.buildMessage`).

use std::borrow::Cow;

use bytes::Bytes;
use remoting_codec::headers::{ChangeInvisibleTimeResponse, PopMessageResponse};
use remoting_codec::message::{
    PopOffsets, Properties, RETRY_PREFIX, Receipt, StoredMessage, SysFlag, TopicMark, property,
};

use super::digest;
use super::namespace::Names;
use super::send::type_of;
use crate::proto::{
    DeadLetterQueue, Duration, Encoding, Message, Resource, SystemProperties, Timestamp,
};

/// The consumer of a message, and what the broker's answer has of it.
#[derive(Clone, Debug, Default)]
pub struct Received<'a> {
    /// The names of the call.
    pub names: Names<'a>,
    /// The namespace that the call's topic has named by itself.
    pub resource_namespace: &'a str,
    /// The consumer's group, by its name to brokers. Empty when there is none, as for a producer.
    pub group: &'a str,
    /// What the message is acknowledged with, if it was popped.
    pub handle: Option<String>,
    /// How often it was consumed in vain, where the answer's header has it: of an orderly POP.
    pub reconsume_times: Option<i32>,
}

impl<'a> Received<'a> {
    /// Of a message that was popped from that broker. Its receipt handle is the broker's own, that
    /// in the message if there is one, with the commit log offset behind it, by which the message
    /// can be made a dead letter.
    ///
    /// `None` when neither message nor answer has what it can be acknowledged with.
    #[must_use]
    pub fn popped(
        message: &StoredMessage<'_>,
        answer: &PopMessageResponse<'_>,
        broker: &str,
    ) -> Option<Self> {
        let own = message.properties.get(property::POP_CK);
        let own = own.as_deref().and_then(|own| Receipt::parse(own).ok());
        let receipt = match own {
            Some(own) => own,
            None => Receipt::of_popped(message, answer, broker)?,
        };
        let handle = Receipt {
            queue_offset: receipt.queue_offset.or(Some(message.queue_offset)),
            commit_log_offset: Some(message.commit_log_offset),
            ..receipt
        };
        let counts = answer.order_count_info.map(|counts| counts.text());
        let offsets = PopOffsets {
            counts: counts.as_deref().unwrap_or_default(),
            ..PopOffsets::default()
        };
        Some(Self {
            handle: Some(handle.to_string()),
            reconsume_times: offsets.count_of(receipt.mark, message.queue_id, message.queue_offset),
            ..Self::default()
        })
    }
}

/// The receipt handle after a change of the invisible time: its queue's start is the message's own
/// place from then on, for the broker ignores an acknowledgement with another.
///
/// `None` when nothing was changed, because the message is acknowledged already.
#[must_use]
pub fn changed_handle(
    before: &Receipt<'_>,
    answer: &ChangeInvisibleTimeResponse,
) -> Option<String> {
    let changed = Receipt {
        start_offset: before.queue_offset?,
        pop_time: answer.pop_time,
        invisible_time: answer.invisible_time,
        revive_queue: answer.revive_queue,
        ..*before
    };
    (answer.pop_time != 0).then(|| changed.to_string())
}

/// The message as its client gets it. `body` is the message's, as a slice of what was read: it is
/// not copied. A compressed one stays so: clients look at its first bytes for how.
#[must_use]
pub fn received(message: &StoredMessage<'_>, body: Bytes, received: Received<'_>) -> Message {
    let properties = message.properties;
    let topic = shown_topic(message, received.group);
    let own = properties
        .iter()
        .filter(|(name, _)| !property::is_reserved(name));
    Message {
        topic: Some(received.names.shown(received.resource_namespace, &topic)),
        user_properties: own
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect(),
        system_properties: Some(system_properties(message, &body, received)),
        body,
    }
}

/// The topic that the message was sent to: retries are shown under it, in whichever topic the
/// broker keeps them.
fn shown_topic<'a>(message: &StoredMessage<'a>, group: &str) -> Cow<'a, str> {
    let is_classic_retry = message.topic.strip_prefix(RETRY_PREFIX) == Some(group);
    let original = is_classic_retry.then(|| message.properties.get(property::RETRY_TOPIC));
    match original.flatten() {
        Some(original) => original,
        None if group.is_empty() => Cow::Borrowed(message.topic),
        None => Cow::Borrowed(TopicMark::original_topic(message.topic, group)),
    }
}

fn system_properties(
    message: &StoredMessage<'_>,
    body: &[u8],
    received: Received<'_>,
) -> SystemProperties {
    let properties = message.properties;
    let text = |name| properties.get(name).map(Cow::into_owned);
    let keys = properties.get(property::KEYS).unwrap_or_default();
    let keys = keys.split(' ').filter(|key| !key.is_empty());
    let is_transactional = properties.get(property::TRAN_MSG).as_deref() == Some("true");
    let encoding = match message.sys_flag.has(SysFlag::COMPRESSED) {
        true => Encoding::Gzip,
        false => Encoding::Identity,
    };
    let born_host = properties.get(property::BORN_HOST);
    let born_host = born_host.filter(|host| !host.trim().is_empty());
    let reconsume_times = received.reconsume_times.unwrap_or(message.reconsume_times);
    let handle = received.handle.as_deref();
    let receipt = handle.and_then(|handle| Receipt::parse(handle).ok());
    SystemProperties {
        tag: text(property::TAGS),
        keys: keys.map(str::to_owned).collect(),
        message_id: text(property::UNIQ_KEY).unwrap_or_else(|| message.offset_id().to_string()),
        body_digest: Some(digest::of(body)),
        body_encoding: encoding.into(),
        message_type: type_of(|name| properties.contains(name), is_transactional).into(),
        born_timestamp: Some(Timestamp::from_millis(message.born_time)),
        born_host: born_host.map_or_else(|| message.born_host.ip().to_string(), Cow::into_owned),
        store_timestamp: Some(Timestamp::from_millis(message.store_time)),
        store_host: message.store_host.to_string(),
        delivery_timestamp: delivery_time(&properties),
        invisible_duration: receipt.map(|receipt| Duration::from_millis(receipt.invisible_time)),
        receipt_handle: received.handle,
        queue_id: message.queue_id,
        queue_offset: Some(message.queue_offset),
        delivery_attempt: Some(reconsume_times.saturating_add(1)),
        message_group: text(property::SHARDING_KEY),
        trace_context: text(property::TRACE_CONTEXT),
        orphaned_transaction_recovery_duration: None,
        dead_letter_queue: dead_letter(&properties, received.names, received.resource_namespace),
        lite_topic: text(property::LITE_TOPIC),
        priority: number(&properties, property::PRIORITY),
    }
}

fn number<N: std::str::FromStr>(properties: &Properties<'_>, name: &str) -> Option<N> {
    properties.get(name)?.parse().ok()
}

/// The time of delivery that its producer asked for, or that its broker has computed.
/// The Java proxy adds a delay in seconds to the time of reception.
fn delivery_time(properties: &Properties<'_>) -> Option<Timestamp> {
    let names = [property::TIMER_DELIVER_MS, property::TIMER_OUT_MS];
    let mut times = names
        .into_iter()
        .filter_map(|name| number(properties, name));
    times.next().map(Timestamp::from_millis)
}

/// What a dead letter was before.
fn dead_letter(
    properties: &Properties<'_>,
    names: Names<'_>,
    namespace: &str,
) -> Option<DeadLetterQueue> {
    let topic = properties.get(property::DLQ_ORIGIN_TOPIC)?;
    let message_id = properties.get(property::DLQ_ORIGIN_MESSAGE_ID)?;
    let Resource { name: topic, .. } = names.shown(namespace, &topic);
    Some(DeadLetterQueue {
        topic,
        message_id: message_id.into_owned(),
    })
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
