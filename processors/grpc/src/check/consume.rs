//! What a consumer asks for.

use std::time::Duration;

use messaging::MessagingError;
use messaging::check::{self, Filter, Limits};

use crate::error::CallError;
use crate::proto::{self, Code, FilterType};

/// What is left of a deadline for the way between client, proxy and broker.
const RESERVE: Duration = Duration::from_millis(500);

fn millis(time: Option<proto::Duration>) -> i64 {
    time.unwrap_or_default().to_millis()
}

/// The invisible time of a ReceiveMessage that asks for no renewal. With `auto_renew` it is not
/// looked at.
///
/// # Errors
/// ILLEGAL_INVISIBLE_TIME when it is absent, too short or too long.
pub fn received_invisible_time(
    asked: Option<proto::Duration>,
    limits: &Limits,
) -> Result<Duration, MessagingError> {
    check::received_invisible_time(millis(asked), limits)
}

/// The invisible time of a ChangeInvisibleDuration, of which 0 is the shortest.
///
/// # Errors
/// ILLEGAL_INVISIBLE_TIME when it is negative or too long.
pub fn changed_invisible_time(
    asked: Option<proto::Duration>,
    limits: &Limits,
) -> Result<Duration, MessagingError> {
    check::changed_invisible_time(millis(asked), limits)
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
    let time = |time: proto::Duration| {
        Duration::from_millis(u64::try_from(time.to_millis()).unwrap_or_default())
    };
    let left = poll.remaining.map(|remaining| {
        let request_timeout = poll.request_timeout.map(time).unwrap_or_default();
        remaining.saturating_sub(request_timeout / 2)
    });
    let wanted = poll.asked.map(time).or(left).unwrap_or(limits.max_poll);
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

/// A filter; absent or empty, all messages pass.
///
/// # Errors
/// ILLEGAL_FILTER_EXPRESSION when it is too long, SQL without an expression, or tags of which none
/// is there.
pub fn filter(filter: Option<&proto::FilterExpression>) -> Result<Filter<'_>, MessagingError> {
    let Some(filter) = filter else {
        return Ok(Filter::ALL);
    };
    let is_sql = filter.r#type == i32::from(FilterType::Sql);
    Filter::new(is_sql, &filter.expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: i64) -> Option<proto::Duration> {
        Some(proto::Duration::from_millis(millis))
    }

    #[test]
    fn an_absent_time_is_none() {
        let limits = Limits::default();
        assert!(received_invisible_time(None, &limits).is_err());
        assert_eq!(changed_invisible_time(None, &limits), Ok(Duration::ZERO));
        let time = received_invisible_time(millis(10_000), &limits);
        assert_eq!(time, Ok(Duration::from_secs(10)));
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
    fn filters_are_read() {
        let read = |kind: FilterType, expression: &str| {
            let expression = proto::FilterExpression {
                r#type: kind.into(),
                expression: expression.to_owned(),
            };
            let read = filter(Some(&expression))?;
            Ok::<_, MessagingError>((read.kind(), read.expression.to_owned()))
        };
        for (kind, expression, expected) in [
            (FilterType::Tag, "a", "TAG"),
            (FilterType::Unspecified, "a", "TAG"),
            (FilterType::Sql, "a>1", "SQL92"),
        ] {
            let expected = (expected, expression.to_owned());
            assert_eq!(read(kind, expression), Ok(expected));
        }
        assert_eq!(filter(None), Ok(Filter::ALL));
        assert!(read(FilterType::Sql, " ").is_err());
    }
}
