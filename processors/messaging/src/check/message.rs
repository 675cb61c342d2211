//! The parts of a message that is sent, one by one.

use std::time::Duration;

use super::{Limits, ensure, has_control, is_blank, shown};
use crate::error::{ErrorKind, MessagingError, Part};

/// A body of that many bytes (`SendMessageActivity.validateMessageBodySize`).
///
/// # Errors
/// [`Part::EmptyBody`], [`Part::BodySize`].
pub fn body(size: usize, limits: &Limits) -> Result<(), MessagingError> {
    ensure(size > 0, Part::EmptyBody, || {
        "the message has no body: send one".to_owned()
    })?;
    let most = limits.body;
    ensure(size <= most, Part::BodySize, || {
        format!("the body has {size} bytes; the limit is {most}: compress or divide it")
    })
}

/// The message's id, which the client has made.
///
/// # Errors
/// [`Part::MessageId`] when there is none or it has control characters, which would end the
/// property that it is stored as. The Java proxy looks only whether there is one.
pub fn message_id(id: &str) -> Result<(), MessagingError> {
    ensure(!is_blank(id), Part::MessageId, || {
        "the message id is empty: make one for each message".to_owned()
    })?;
    ensure(!has_control(id), Part::MessageId, || {
        "the message id must not have control characters".to_owned()
    })
}

/// A tag (`GrpcValidator.validateTag`); an empty one is none.
///
/// # Errors
/// [`Part::Tag`] when it is white space, has `|`, which separates tags in filters, or has
/// control characters.
pub fn tag(tag: &str) -> Result<(), MessagingError> {
    let part = Part::Tag;
    ensure(tag.is_empty() || !is_blank(tag), part, || {
        "the tag is white space only: leave it out".to_owned()
    })?;
    ensure(!tag.contains('|'), part, || {
        format!("the tag must not have a |: {}", shown(tag))
    })?;
    ensure(!has_control(tag), part, || {
        "the tag must not have control characters".to_owned()
    })
}

/// A key (`SendMessageActivity.validateMessageKey`); an empty one is none.
///
/// # Errors
/// [`Part::Key`] when it is white space or has control characters.
pub fn key(key: &str) -> Result<(), MessagingError> {
    let part = Part::Key;
    ensure(key.is_empty() || !is_blank(key), part, || {
        "a key is white space only: leave it out".to_owned()
    })?;
    ensure(!has_control(key), part, || {
        "a key must not have control characters".to_owned()
    })
}

/// A message group (`SendMessageActivity.validateMessageGroup`); an empty one is none.
///
/// # Errors
/// [`Part::MessageGroup`] when it is white space, has too many bytes or control characters.
pub fn message_group(group: &str, limits: &Limits) -> Result<(), MessagingError> {
    let part = Part::MessageGroup;
    ensure(group.is_empty() || !is_blank(group), part, || {
        "the message group is white space only: leave it out".to_owned()
    })?;
    let most = limits.message_group;
    ensure(group.len() < most, part, || {
        format!(
            "the message group must have fewer than {most} bytes: {}",
            shown(group)
        )
    })?;
    ensure(!has_control(group), part, || {
        "the message group must not have control characters".to_owned()
    })
}

/// A lite topic (`GrpcValidator.validateLiteTopic`).
///
/// # Errors
/// [`Part::LiteTopic`] when it is empty, has too many bytes, or others than letters, digits, `-`
/// and `_`.
pub fn lite_topic(topic: &str, limits: &Limits) -> Result<(), MessagingError> {
    let part = Part::LiteTopic;
    ensure(!is_blank(topic), part, || {
        "the lite topic is empty: name one".to_owned()
    })?;
    let most = limits.lite_topic;
    ensure(topic.len() <= most, part, || {
        format!(
            "the lite topic has more than {most} bytes: {}",
            shown(topic)
        )
    })?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    ensure(topic.bytes().all(is_allowed), part, || {
        format!(
            "the lite topic may have letters, digits, - and _ only: {}",
            shown(topic)
        )
    })
}

/// The time of delivery and that of the call, both in milliseconds since 1970
/// (`SendMessageActivity.validateDelayTime`). A time that has passed is now.
///
/// # Errors
/// [`Part::DeliveryTime`] when it is too far away.
pub fn delivery_time(at: i64, now: i64, limits: &Limits) -> Result<(), MessagingError> {
    let most = i64::try_from(limits.delay.as_millis()).unwrap_or(i64::MAX);
    let is_right = at.saturating_sub(now) <= most;
    ensure(is_right, Part::DeliveryTime, || {
        let seconds = limits.delay.as_secs();
        format!("the delivery time is more than {seconds} s away: deliver it earlier")
    })
}

/// For how long the broker is kept from asking about a transaction: milliseconds
/// (`SendMessageActivity.validateTransactionRecoverySecond`).
///
/// # Errors
/// [`Part::CheckTime`] when it is too long, or negative, which the Java proxy does not look at: -1
/// s is the broker's own default to the broker (`TransactionalMessageServiceImpl.getImmunityTime`).
pub fn recovery_time(millis: i64, limits: &Limits) -> Result<Duration, MessagingError> {
    let time = u64::try_from(millis).map(Duration::from_millis);
    let within = time.ok().filter(|time| *time <= limits.recovery);
    within.ok_or_else(|| {
        let most = limits.recovery.as_secs();
        let message = format!(
            "a transaction must be left unchecked for 0 to {most} s; this one for {millis} ms"
        );
        MessagingError::new(ErrorKind::Illegal(Part::CheckTime), message)
    })
}

/// A priority.
///
/// # Errors
/// [`Part::Priority`] when it is negative, which clients do not send. The Java proxy does not look
/// at it.
pub fn priority(priority: i32) -> Result<(), MessagingError> {
    ensure(priority >= 0, Part::Priority, || {
        format!("the priority must be 0 or more; it is {priority}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::part;
    use super::*;

    const LIMITS: fn() -> Limits = Limits::default;

    #[test]
    fn bodies_are_limited() {
        for (size, expected) in [
            (0, Some(Part::EmptyBody)),
            (1, None),
            (4_194_304, None),
            (4_194_305, Some(Part::BodySize)),
        ] {
            assert_eq!(part(body(size, &LIMITS())), expected, "{size}");
        }
    }

    #[test]
    fn texts_are_checked() {
        for (text, of_tag, of_key, of_id) in [
            ("", true, true, false),
            ("x", true, true, true),
            ("x y", true, true, true),
            ("ключ", true, true, true),
            (" ", false, false, false),
            ("a|b", false, true, true),
            ("a\u{1}b", false, false, false),
            ("a\u{7f}", false, false, false),
            ("a\u{85}", false, false, false),
        ] {
            for (result, right, wrong) in [
                (tag(text), of_tag, Part::Tag),
                (key(text), of_key, Part::Key),
                (message_id(text), of_id, Part::MessageId),
            ] {
                assert_eq!(part(result), (!right).then_some(wrong), "{text:?}");
            }
        }
    }

    #[test]
    fn message_groups_are_limited() {
        for (group, right) in [
            ("", true),
            ("g", true),
            (&*"g".repeat(63), true),
            (&*"g".repeat(64), false),
            (&*"ä".repeat(32), false),
            (" ", false),
            ("a\u{2}", false),
        ] {
            let expected = (!right).then_some(Part::MessageGroup);
            assert_eq!(part(message_group(group, &LIMITS())), expected, "{group:?}");
        }
    }

    #[test]
    fn lite_topics_are_limited() {
        for (topic, right) in [
            ("lite-topic_1", true),
            (&*"l".repeat(64), true),
            (&*"l".repeat(65), false),
            ("", false),
            ("a%b", false),
            ("ä", false),
        ] {
            let expected = (!right).then_some(Part::LiteTopic);
            assert_eq!(part(lite_topic(topic, &LIMITS())), expected, "{topic:?}");
        }
    }

    #[test]
    fn times_are_limited() {
        const DAY: i64 = 86_400_000;
        for (at, right) in [(0, true), (5, true), (5 + DAY, true), (6 + DAY, false)] {
            let expected = (!right).then_some(Part::DeliveryTime);
            assert_eq!(part(delivery_time(at, 5, &LIMITS())), expected, "{at}");
        }
        assert_eq!(part(delivery_time(i64::MIN, i64::MAX, &LIMITS())), None);
        assert_eq!(
            recovery_time(3_600_000, &LIMITS()),
            Ok(Duration::from_mins(60))
        );
        for wrong in [3_600_001, -1, i64::MAX] {
            let result = recovery_time(wrong, &LIMITS());
            assert_eq!(part(result), Some(Part::CheckTime), "{wrong}");
        }
        assert_eq!(part(priority(0)), None);
        assert_eq!(part(priority(-1)), Some(Part::Priority));
    }
}
