//! What clients are shown of a message that a broker has handed out, whatever protocol they speak
//! (`GrpcConverter.buildMessage`).

use std::borrow::Cow;

use remoting_codec::message::{Properties, RETRY_PREFIX, StoredMessage, TopicMark, property};

use crate::kind::MessageKind;

/// The topic that the message was sent to: retries are shown under it, in whichever topic the
/// broker keeps them. `group` is the consumer's; empty if there is none.
#[must_use]
pub fn topic<'a>(message: &StoredMessage<'a>, group: &str) -> Cow<'a, str> {
    let is_classic_retry = message.topic.strip_prefix(RETRY_PREFIX) == Some(group);
    let original = is_classic_retry.then(|| message.properties.get(property::RETRY_TOPIC));
    match original.flatten() {
        Some(original) => original,
        None if group.is_empty() => Cow::Borrowed(message.topic),
        None => Cow::Borrowed(TopicMark::original_topic(message.topic, group)),
    }
}

/// The id that its producer has given it, or else that of its place.
#[must_use]
pub fn message_id(message: &StoredMessage<'_>) -> String {
    let own = message.properties.get(property::UNIQ_KEY);
    own.map_or_else(|| message.offset_id().to_string(), Cow::into_owned)
}

/// Its keys.
#[must_use]
pub fn keys(properties: &Properties<'_>) -> Vec<String> {
    let keys = properties.get(property::KEYS).unwrap_or_default();
    let keys = keys.split(' ').filter(|key| !key.is_empty());
    keys.map(str::to_owned).collect()
}

/// Its kind, by its properties.
#[must_use]
pub fn kind(properties: &Properties<'_>) -> MessageKind {
    let is_transactional = properties.get(property::TRAN_MSG).as_deref() == Some("true");
    MessageKind::of(*properties, is_transactional)
}

/// The host that it was made at, by its producer or a proxy, or else as the broker saw it.
#[must_use]
pub fn born_host(message: &StoredMessage<'_>) -> String {
    let host = message.properties.get(property::BORN_HOST);
    let host = host.filter(|host| !host.trim().is_empty());
    host.map_or_else(|| message.born_host.ip().to_string(), Cow::into_owned)
}

/// The time of delivery that its producer asked for, or that its broker has computed: milliseconds
/// since 1970. The Java proxy adds a delay in seconds to the time of reception.
#[must_use]
pub fn delivery_time(properties: &Properties<'_>) -> Option<i64> {
    let names = [property::TIMER_DELIVER_MS, property::TIMER_OUT_MS];
    let mut times = names
        .into_iter()
        .filter_map(|name| number(properties, name));
    times.next()
}

/// The topic, in the names of brokers, and the id that a message had before it became a dead
/// letter; `None` for any other.
#[must_use]
pub fn dead_letter<'a>(properties: &Properties<'a>) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let topic = properties.get(property::DLQ_ORIGIN_TOPIC)?;
    Some((topic, properties.get(property::DLQ_ORIGIN_MESSAGE_ID)?))
}

/// The properties that brokers and clients give no meaning: those of the application.
pub fn own_properties<'a>(
    properties: &Properties<'a>,
) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
    let all = properties.iter();
    all.filter(|(name, _)| !property::is_reserved(name))
}

/// The number that a property has; `None` if it is absent or no number.
#[must_use]
pub fn number<N: std::str::FromStr>(properties: &Properties<'_>, name: &str) -> Option<N> {
    properties.get(name)?.parse().ok()
}
