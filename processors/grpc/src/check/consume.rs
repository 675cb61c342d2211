//! What a consumer asks for.

use std::time::Duration;

use super::{Limits, ensure, is_blank, shown};
use crate::error::CallError;
use crate::proto::{self, Code, FilterType};
use remoting_codec::message::Receipt;

/// Most messages that a broker hands out at a time (`MAX_MSG_NUMS_FOR_POP_REQUEST`).
const MAX_BATCH: i32 = 32;

/// What is left of a deadline for the way between client, proxy and broker.
const RESERVE: Duration = Duration::from_millis(500);

/// How many messages are asked for: more than 32 are 32 (`ConsumerProcessor.popMessage`).
///
/// # Errors
/// BAD_REQUEST when it is less than 1, which the Java proxy passes on.
pub fn batch_size(asked: i32) -> Result<i32, CallError> {
    ensure(asked > 0, Code::BadRequest, || {
        format!("batch_size must be 1 or more; it is {asked}")
    })?;
    Ok(asked.min(MAX_BATCH))
}

/// The invisible time of a ReceiveMessage that asks for no renewal: milliseconds
/// (`ReceiveMessageActivity.receiveMessage`). With `auto_renew` it is not looked at.
///
/// # Errors
/// ILLEGAL_INVISIBLE_TIME when it is absent, too short or too long.
pub fn received_invisible_time(
    asked: Option<proto::Duration>,
    limits: &Limits,
) -> Result<Duration, CallError> {
    invisible_time(asked, limits.min_invisible, limits)
}

/// The invisible time of a ChangeInvisibleDuration, of which 0 is the shortest: milliseconds
/// (`ChangeInvisibleDurationActivity.changeInvisibleDuration`).
///
/// # Errors
/// ILLEGAL_INVISIBLE_TIME when it is negative or too long.
pub fn changed_invisible_time(
    asked: Option<proto::Duration>,
    limits: &Limits,
) -> Result<Duration, CallError> {
    invisible_time(asked, Duration::ZERO, limits)
}

fn invisible_time(
    asked: Option<proto::Duration>,
    least: Duration,
    limits: &Limits,
) -> Result<Duration, CallError> {
    let asked = asked.unwrap_or_default().to_millis();
    let time = u64::try_from(asked).map(Duration::from_millis);
    let within = time
        .ok()
        .filter(|time| (least..=limits.max_invisible).contains(time));
    within.ok_or_else(|| {
        let (least, most) = (least.as_millis(), limits.max_invisible.as_millis());
        let message =
            format!("the invisible duration must be {least} to {most} ms; it is {asked} ms");
        CallError::new(Code::IllegalInvisibleTime, message)
    })
}

/// What the length of a poll follows from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Poll<'a> {
    /// `long_polling_timeout` of the call.
    pub asked: Option<proto::Duration>,
    /// What is left of the call's deadline; `None` if it has none.
    pub remaining: Option<Duration>,
    /// `request_timeout` of the client's settings, if it has sent some.
    pub request_timeout: Option<proto::Duration>,
    /// The client's version, by which it knows the code, or not.
    pub version: Option<&'a str>,
}

/// How long a poll waits (`ReceiveMessageActivity.receiveMessage`): what is asked for, or what the
/// deadline leaves beside half of the client's time for a call; within the limits, and within the
/// deadline.
///
/// The Java proxy refuses a poll whose deadline is closer than its shortest poll; here it waits for
/// as long as there is.
///
/// # Errors
/// ILLEGAL_POLLING_TIME when the deadline leaves no time to wait; BAD_REQUEST for clients before
/// 5.0.3, which do not know that code.
pub fn polling_time(poll: &Poll<'_>, limits: &Limits) -> Result<Duration, CallError> {
    let millis = |time: proto::Duration| {
        Duration::from_millis(u64::try_from(time.to_millis()).unwrap_or_default())
    };
    let left = poll.remaining.map(|remaining| {
        let request_timeout = poll.request_timeout.map(millis).unwrap_or_default();
        remaining.saturating_sub(request_timeout / 2)
    });
    let wanted = poll.asked.map(millis).or(left).unwrap_or(limits.max_poll);
    let wanted = wanted.max(limits.min_poll).min(limits.max_poll);
    let Some(remaining) = poll.remaining else {
        return Ok(wanted);
    };
    match remaining.checked_sub(RESERVE) {
        Some(available) if !available.is_zero() => Ok(wanted.min(available)),
        _ => {
            let message = format!(
                "the deadline is {} ms away, too close to wait for messages: set it later",
                remaining.as_millis()
            );
            Err(CallError::new(code_of_poll(poll.version), message))
        }
    }
}

fn code_of_poll(version: Option<&str>) -> Code {
    let mut parts = version.unwrap_or_default().split(['.', '-']);
    let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
    let version = (number(), number(), number());
    match version >= (Some(5), Some(0), Some(3)) {
        true => Code::IllegalPollingTime,
        false => Code::BadRequest,
    }
}

/// A receipt handle: the broker's own receipt, by which any replica finds the broker. `now` is the
/// time by the broker's clock, in milliseconds since 1970, and `margin` what it may be wrong by.
///
/// # Errors
/// INVALID_RECEIPT_HANDLE when it is none, when it names no single message, or when its message has
/// been visible for longer than the margin: the broker would answer SUCCESS and do nothing. It is
/// final for clients, which do not try again.
pub fn receipt_handle(handle: &str, now: i64, margin: i64) -> Result<Receipt<'_>, CallError> {
    let code = Code::InvalidReceiptHandle;
    let receipt = Receipt::parse(handle).ok();
    let receipt = receipt.filter(|receipt| receipt.queue_offset.is_some());
    let receipt = receipt.ok_or_else(|| {
        let handle = shown(handle);
        let message = format!(
            "not a receipt handle: {}: send the one that the message, or the last change of its \
             invisible duration, came with",
            handle.escape_debug()
        );
        CallError::new(code, message)
    })?;
    let late = now.saturating_sub(receipt.visible_time());
    ensure(late <= margin, code, || {
        format!(
            "the receipt handle has expired {late} ms ago: the message is delivered again; ask for \
             a longer invisible duration"
        )
    })?;
    Ok(receipt)
}

/// A filter as brokers take it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Filter<'a> {
    /// Whether it is SQL92; else it is tags.
    pub is_sql: bool,
    /// The expression; `*` for all messages.
    pub expression: &'a str,
}

impl Filter<'_> {
    /// `expType` of a request.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.is_sql {
            true => "SQL92",
            false => "TAG",
        }
    }

    /// Whether a message with that tag passes (`FilterUtils.isTagMatched`): brokers compare hashes
    /// only. SQL is not looked at.
    #[must_use]
    pub fn matches(&self, tag: Option<&str>) -> bool {
        let mut tags = self.expression.split("||").map(str::trim);
        self.is_sql || self.expression == "*" || tags.any(|wanted| Some(wanted) == tag)
    }
}

/// A filter (`FilterAPI.build`); absent or empty, all messages pass.
///
/// # Errors
/// ILLEGAL_FILTER_EXPRESSION when it is SQL without an expression, or tags of which none is there.
pub fn filter(filter: Option<&proto::FilterExpression>) -> Result<Filter<'_>, CallError> {
    let code = Code::IllegalFilterExpression;
    let all = Filter {
        is_sql: false,
        expression: "*",
    };
    let Some(filter) = filter else {
        return Ok(all);
    };
    let is_sql = filter.r#type == i32::from(FilterType::Sql);
    let expression = filter.expression.as_str();
    if is_sql {
        ensure(!is_blank(expression), code, || {
            "the SQL filter has no expression: write one, or filter by the tag *".to_owned()
        })?;
        return Ok(Filter { is_sql, expression });
    }
    if expression.is_empty() || expression.trim() == "*" {
        return Ok(all);
    }
    let has_tag = expression.split("||").any(|tag| !is_blank(tag));
    ensure(has_tag, code, || {
        format!("the filter has no tag: {}", shown(expression))
    })?;
    Ok(Filter { is_sql, expression })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: i64) -> Option<proto::Duration> {
        Some(proto::Duration::from_millis(millis))
    }

    #[test]
    fn batches_are_limited() {
        for (asked, size) in [(1, 1), (32, 32), (33, 32), (i32::MAX, 32)] {
            assert_eq!(batch_size(asked), Ok(size));
        }
        for wrong in [0, -1] {
            assert_eq!(batch_size(wrong).unwrap_err().code, Code::BadRequest);
        }
    }

    #[test]
    fn invisible_times_are_limited() {
        let limits = Limits::default();
        const HALF_DAY: i64 = 43_200_000;
        for (asked, received, changed) in [
            (millis(10_000), true, true),
            (millis(HALF_DAY), true, true),
            (millis(9_999), false, true),
            (millis(0), false, true),
            (None, false, true),
            (millis(HALF_DAY + 1), false, false),
            (millis(-1), false, false),
        ] {
            for (result, right) in [
                (received_invisible_time(asked, &limits), received),
                (changed_invisible_time(asked, &limits), changed),
            ] {
                match right {
                    true => assert_eq!(
                        result.unwrap().as_millis() as i64,
                        asked.unwrap_or_default().to_millis()
                    ),
                    false => assert_eq!(result.unwrap_err().code, Code::IllegalInvisibleTime),
                }
            }
        }
    }

    #[test]
    fn polls_end_before_their_deadline() {
        let limits = Limits::default();
        let secs = |secs| Some(Duration::from_secs(secs));
        for (asked, remaining, request_timeout, expected) in [
            (None, None, None, 20_000),
            (millis(7_000), None, None, 7_000),
            (millis(1_000), None, None, 5_000),
            (millis(-1), None, None, 5_000),
            (millis(60_000), secs(60), None, 20_000),
            (millis(20_000), secs(10), None, 9_500),
            (millis(1_000), secs(2), None, 1_500),
            (None, secs(18), millis(6_000), 15_000),
            (None, secs(60), millis(3_000), 20_000),
            (None, secs(6), millis(6_000), 5_000),
        ] {
            let poll = Poll {
                asked,
                remaining,
                request_timeout,
                version: None,
            };
            let time = polling_time(&poll, &limits).unwrap();
            assert_eq!(time.as_millis(), expected, "{poll:?}");
        }
    }

    #[test]
    fn polls_need_time() {
        for (version, code) in [
            (Some("5.0.3"), Code::IllegalPollingTime),
            (Some("5.0.10"), Code::IllegalPollingTime),
            (Some("5.1.0-SNAPSHOT"), Code::IllegalPollingTime),
            (Some("5.0.1-rc1"), Code::BadRequest),
            (Some("4.9.9"), Code::BadRequest),
            (Some("x"), Code::BadRequest),
            (None, Code::BadRequest),
        ] {
            let poll = Poll {
                remaining: Some(RESERVE),
                version,
                ..Poll::default()
            };
            let error = polling_time(&poll, &Limits::default()).unwrap_err();
            assert_eq!(error.code, code, "{version:?}");
        }
    }

    #[test]
    fn receipt_handles_are_checked() {
        let handle = "100 1700000000000 60000 3 1 broker-a 2 105";
        let end = 1_700_000_060_000;
        for now in [0, end, end + 2_000] {
            let receipt = receipt_handle(handle, now, 2_000).unwrap();
            assert_eq!((receipt.broker, receipt.queue_id), ("broker-a", 2));
        }
        for (wrong, now) in [
            (handle, end + 2_001),
            ("", 0),
            ("100 1700000000000 60000 3 1 broker-a 2", 0),
            ("100 1700000000000 60000 3 1 broker-a x 105", 0),
            ("\u{0}", 0),
        ] {
            let error = receipt_handle(wrong, now, 2_000).unwrap_err();
            assert_eq!(error.code, Code::InvalidReceiptHandle, "{wrong}");
        }
    }

    #[test]
    fn filters_are_read() {
        let read = |kind: FilterType, expression: &str| {
            let expression = proto::FilterExpression {
                r#type: kind.into(),
                expression: expression.to_owned(),
            };
            let read = filter(Some(&expression))?;
            Ok((read.kind(), read.expression.to_owned()))
        };
        let illegal = |result: Result<(&str, String), CallError>| {
            result.unwrap_err().code == Code::IllegalFilterExpression
        };
        for all in ["", "*", " * "] {
            assert_eq!(read(FilterType::Tag, all), Ok(("TAG", "*".to_owned())));
        }
        assert_eq!(
            read(FilterType::Unspecified, "a"),
            Ok(("TAG", "a".to_owned()))
        );
        assert_eq!(
            read(FilterType::Sql, "a>1"),
            Ok(("SQL92", "a>1".to_owned()))
        );
        assert_eq!(filter(None).map(|all| all.expression), Ok("*"));
        assert!(illegal(read(FilterType::Sql, " ")));
        assert!(illegal(read(FilterType::Tag, "||")));
        assert!(illegal(read(FilterType::Tag, " || ")));
    }

    #[test]
    fn tags_pass_filters() {
        for (is_sql, expression, tag, passes) in [
            (false, "*", None, true),
            (false, "a", Some("a"), true),
            (false, "a || b", Some("b"), true),
            (false, "a||b", Some("c"), false),
            (false, "a||b", None, false),
            (true, "x > 1", None, true),
        ] {
            let filter = Filter { is_sql, expression };
            assert_eq!(filter.matches(tag), passes, "{filter:?} {tag:?}");
        }
    }
}
