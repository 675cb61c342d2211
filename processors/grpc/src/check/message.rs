//! What a message is sent with, part by part.

use std::time::Duration;

use super::{Limits, ensure, has_control, is_blank, shown};
use crate::error::CallError;
use crate::proto::Code;

/// A body of that many bytes (`SendMessageActivity.validateMessageBodySize`).
///
/// # Errors
/// MESSAGE_BODY_EMPTY, MESSAGE_BODY_TOO_LARGE.
pub fn body(size: usize, limits: &Limits) -> Result<(), CallError> {
    ensure(size > 0, Code::MessageBodyEmpty, || {
        "the message has no body: send one".to_owned()
    })?;
    let most = limits.body;
    ensure(size <= most, Code::MessageBodyTooLarge, || {
        format!("the body has {size} bytes; the limit is {most}: compress or divide it")
    })
}

/// The message's id, which the client has made.
///
/// # Errors
/// ILLEGAL_MESSAGE_ID when there is none or it has control characters, which would end the property
/// that it is stored as. The Java proxy looks only whether there is one.
pub fn message_id(id: &str) -> Result<(), CallError> {
    ensure(!is_blank(id), Code::IllegalMessageId, || {
        "the message id is empty: make one for each message".to_owned()
    })?;
    ensure(!has_control(id), Code::IllegalMessageId, || {
        "the message id must not have control characters".to_owned()
    })
}

/// A tag (`GrpcValidator.validateTag`); an empty one is none.
///
/// # Errors
/// ILLEGAL_MESSAGE_TAG when it is white space, has `|`, which separates tags in filters, or has
/// control characters.
pub fn tag(tag: &str) -> Result<(), CallError> {
    let code = Code::IllegalMessageTag;
    ensure(tag.is_empty() || !is_blank(tag), code, || {
        "the tag is white space only: leave it out".to_owned()
    })?;
    ensure(!tag.contains('|'), code, || {
        format!("the tag must not have a |: {}", shown(tag))
    })?;
    ensure(!has_control(tag), code, || {
        "the tag must not have control characters".to_owned()
    })
}

/// A key (`SendMessageActivity.validateMessageKey`); an empty one is none.
///
/// # Errors
/// ILLEGAL_MESSAGE_KEY when it is white space or has control characters.
pub fn key(key: &str) -> Result<(), CallError> {
    let code = Code::IllegalMessageKey;
    ensure(key.is_empty() || !is_blank(key), code, || {
        "a key is white space only: leave it out".to_owned()
    })?;
    ensure(!has_control(key), code, || {
        "a key must not have control characters".to_owned()
    })
}

/// A message group (`SendMessageActivity.validateMessageGroup`); an empty one is none.
///
/// # Errors
/// ILLEGAL_MESSAGE_GROUP when it is white space, has too many bytes or control characters.
pub fn message_group(group: &str, limits: &Limits) -> Result<(), CallError> {
    let code = Code::IllegalMessageGroup;
    ensure(group.is_empty() || !is_blank(group), code, || {
        "the message group is white space only: leave it out".to_owned()
    })?;
    let most = limits.message_group;
    ensure(group.len() < most, code, || {
        format!(
            "the message group must have fewer than {most} bytes: {}",
            shown(group)
        )
    })?;
    ensure(!has_control(group), code, || {
        "the message group must not have control characters".to_owned()
    })
}

/// A lite topic (`GrpcValidator.validateLiteTopic`).
///
/// # Errors
/// ILLEGAL_LITE_TOPIC when it is empty, has too many bytes, or others than letters, digits, `-` and
/// `_`.
pub fn lite_topic(topic: &str, limits: &Limits) -> Result<(), CallError> {
    let code = Code::IllegalLiteTopic;
    ensure(!is_blank(topic), code, || {
        "the lite topic is empty: name one".to_owned()
    })?;
    let most = limits.lite_topic;
    ensure(topic.len() <= most, code, || {
        format!(
            "the lite topic has more than {most} bytes: {}",
            shown(topic)
        )
    })?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    ensure(topic.bytes().all(is_allowed), code, || {
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
/// ILLEGAL_DELIVERY_TIME when it is too far away.
pub fn delivery_time(at: i64, now: i64, limits: &Limits) -> Result<(), CallError> {
    let most = i64::try_from(limits.delay.as_millis()).unwrap_or(i64::MAX);
    let is_right = at.saturating_sub(now) <= most;
    ensure(is_right, Code::IllegalDeliveryTime, || {
        let seconds = limits.delay.as_secs();
        format!("the delivery time is more than {seconds} s away: deliver it earlier")
    })
}

/// For how long the broker is kept from asking about a transaction: milliseconds
/// (`SendMessageActivity.validateTransactionRecoverySecond`).
///
/// # Errors
/// BAD_REQUEST when it is too long, or negative, which the Java proxy does not look at: -1 s is the
/// broker's own default to the broker (`TransactionalMessageServiceImpl.getImmunityTime`).
pub fn recovery_time(millis: i64, limits: &Limits) -> Result<Duration, CallError> {
    let time = u64::try_from(millis).map(Duration::from_millis);
    let within = time.ok().filter(|time| *time <= limits.recovery);
    within.ok_or_else(|| {
        let most = limits.recovery.as_secs();
        let message = format!(
            "orphaned_transaction_recovery_duration must be 0 to {most} s; it is {millis} ms"
        );
        CallError::new(Code::BadRequest, message)
    })
}

/// A priority.
///
/// # Errors
/// BAD_REQUEST when it is negative, which clients do not send. The Java proxy does not look at it.
pub fn priority(priority: i32) -> Result<(), CallError> {
    ensure(priority >= 0, Code::BadRequest, || {
        format!("the priority must be 0 or more; it is {priority}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> Limits = Limits::default;

    fn code(result: Result<(), CallError>) -> Code {
        result.err().map_or(Code::Ok, |error| error.code)
    }

    #[test]
    fn bodies_are_limited() {
        for (size, expected) in [
            (0, Code::MessageBodyEmpty),
            (1, Code::Ok),
            (4_194_304, Code::Ok),
            (4_194_305, Code::MessageBodyTooLarge),
        ] {
            assert_eq!(code(body(size, &LIMITS())), expected, "{size}");
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
            let expected = |right, code| if right { Code::Ok } else { code };
            assert_eq!(
                code(tag(text)),
                expected(of_tag, Code::IllegalMessageTag),
                "{text:?}"
            );
            assert_eq!(
                code(key(text)),
                expected(of_key, Code::IllegalMessageKey),
                "{text:?}"
            );
            let of_id = expected(of_id, Code::IllegalMessageId);
            assert_eq!(code(message_id(text)), of_id, "{text:?}");
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
            let expected = if right {
                Code::Ok
            } else {
                Code::IllegalMessageGroup
            };
            assert_eq!(code(message_group(group, &LIMITS())), expected, "{group:?}");
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
            let expected = if right {
                Code::Ok
            } else {
                Code::IllegalLiteTopic
            };
            assert_eq!(code(lite_topic(topic, &LIMITS())), expected, "{topic:?}");
        }
    }

    #[test]
    fn times_are_limited() {
        const DAY: i64 = 86_400_000;
        for (at, right) in [(0, true), (5, true), (5 + DAY, true), (6 + DAY, false)] {
            let expected = if right {
                Code::Ok
            } else {
                Code::IllegalDeliveryTime
            };
            assert_eq!(code(delivery_time(at, 5, &LIMITS())), expected, "{at}");
        }
        assert_eq!(code(delivery_time(i64::MIN, i64::MAX, &LIMITS())), Code::Ok);
        assert_eq!(
            recovery_time(3_600_000, &LIMITS()),
            Ok(Duration::from_mins(60))
        );
        for wrong in [3_600_001, -1, i64::MAX] {
            let error = recovery_time(wrong, &LIMITS()).unwrap_err();
            assert_eq!(error.code, Code::BadRequest, "{wrong}");
        }
        assert_eq!(code(priority(0)), Code::Ok);
        assert_eq!(code(priority(-1)), Code::BadRequest);
    }
}
