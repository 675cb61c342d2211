//! What a consumer asks for.

use std::time::Duration;

use remoting_codec::message::Receipt;

use super::{Limits, ensure, is_blank, shown};
use crate::error::{ErrorKind, MessagingError, Part};

/// Most messages that a broker hands out at a time (`MAX_MSG_NUMS_FOR_POP_REQUEST`).
const MAX_BATCH: i32 = 32;

/// Most bytes of a filter.
const MAX_FILTER: usize = 4096;

/// How many messages are asked for: more than 32 are 32 (`ConsumerProcessor.popMessage`).
///
/// # Errors
/// [`Part::BatchSize`] when it is less than 1, which the Java proxy passes on.
pub fn batch_size(asked: i32) -> Result<i32, MessagingError> {
    ensure(asked > 0, Part::BatchSize, || {
        format!("1 message or more must be asked for; the call asks for {asked}")
    })?;
    Ok(asked.min(MAX_BATCH))
}

/// The invisible time of messages that are received (`ReceiveMessageActivity.receiveMessage`), in
/// milliseconds.
///
/// # Errors
/// [`Part::InvisibleTime`] when it is too short or too long.
pub fn received_invisible_time(asked: i64, limits: &Limits) -> Result<Duration, MessagingError> {
    invisible_time(asked, limits.min_invisible, limits)
}

/// The invisible time that a message gets instead of its former one, in milliseconds; 0 is the
/// shortest (`ChangeInvisibleDurationActivity.changeInvisibleDuration`).
///
/// # Errors
/// [`Part::InvisibleTime`] when it is negative or too long.
pub fn changed_invisible_time(asked: i64, limits: &Limits) -> Result<Duration, MessagingError> {
    invisible_time(asked, Duration::ZERO, limits)
}

fn invisible_time(
    asked: i64,
    least: Duration,
    limits: &Limits,
) -> Result<Duration, MessagingError> {
    let time = u64::try_from(asked).map(Duration::from_millis);
    let within = time
        .ok()
        .filter(|time| (least..=limits.max_invisible).contains(time));
    within.ok_or_else(|| {
        let (least, most) = (least.as_millis(), limits.max_invisible.as_millis());
        let message =
            format!("the invisible duration must be {least} to {most} ms; it is {asked} ms");
        MessagingError::new(ErrorKind::Illegal(Part::InvisibleTime), message)
    })
}

/// A receipt handle: the broker's own receipt, by which any replica finds the broker. `now` is the
/// time by the broker's clock, in milliseconds since 1970, and `margin` what it may be wrong by.
///
/// # Errors
/// [`Part::ReceiptHandle`] when it is none, when it names no single message, or when its message
/// has been visible for longer than the margin: the broker would answer SUCCESS and do nothing. It
/// is final for clients, which do not try again.
pub fn receipt_handle(handle: &str, now: i64, margin: i64) -> Result<Receipt<'_>, MessagingError> {
    let part = Part::ReceiptHandle;
    let receipt = Receipt::parse(handle).ok();
    let receipt = receipt.filter(|receipt| receipt.queue_offset.is_some());
    let receipt = receipt.ok_or_else(|| {
        let handle = shown(handle);
        let message = format!(
            "not a receipt handle: {}: send the one that the message, or the last change of its \
             invisible duration, came with",
            handle.escape_debug()
        );
        MessagingError::new(ErrorKind::Illegal(part), message)
    })?;
    let late = now.saturating_sub(receipt.visible_time());
    ensure(late <= margin, part, || {
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
    /// The tags, with `||` between them, or the SQL expression; `*` for all messages.
    pub expression: &'a str,
}

impl<'a> Filter<'a> {
    /// The filter that all messages pass.
    pub const ALL: Filter<'static> = Filter {
        is_sql: false,
        expression: "*",
    };

    /// A filter (`FilterAPI.build`). By an empty expression of tags, all messages pass.
    ///
    /// # Errors
    /// [`Part::Filter`] when it is too long, SQL without an expression, or tags of which none is
    /// there.
    pub fn new(is_sql: bool, expression: &'a str) -> Result<Self, MessagingError> {
        let part = Part::Filter;
        ensure(expression.len() <= MAX_FILTER, part, || {
            format!("the filter has more than {MAX_FILTER} bytes: shorten it")
        })?;
        if is_sql {
            ensure(!is_blank(expression), part, || {
                "the SQL filter has no expression: write one, or filter by the tag *".to_owned()
            })?;
            return Ok(Self { is_sql, expression });
        }
        if expression.is_empty() || expression.trim() == "*" {
            return Ok(Self::ALL);
        }
        let has_tag = expression.split("||").any(|tag| !is_blank(tag));
        ensure(has_tag, part, || {
            format!("the filter has no tag: {}", shown(expression))
        })?;
        Ok(Self { is_sql, expression })
    }

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

#[cfg(test)]
mod tests {
    use super::super::tests::part;
    use super::*;

    #[test]
    fn batches_are_limited() {
        for (asked, size) in [(1, 1), (32, 32), (33, 32), (i32::MAX, 32)] {
            assert_eq!(batch_size(asked), Ok(size));
        }
        for wrong in [0, -1] {
            assert_eq!(part(batch_size(wrong)), Some(Part::BatchSize));
        }
    }

    #[test]
    fn invisible_times_are_limited() {
        let limits = Limits::default();
        const HALF_DAY: i64 = 43_200_000;
        for (asked, received, changed) in [
            (10_000, true, true),
            (HALF_DAY, true, true),
            (9_999, false, true),
            (0, false, true),
            (HALF_DAY + 1, false, false),
            (-1, false, false),
        ] {
            for (result, right) in [
                (received_invisible_time(asked, &limits), received),
                (changed_invisible_time(asked, &limits), changed),
            ] {
                match right {
                    true => assert_eq!(result.unwrap().as_millis() as i64, asked),
                    false => assert_eq!(part(result), Some(Part::InvisibleTime)),
                }
            }
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
            let result = receipt_handle(wrong, now, 2_000);
            assert_eq!(part(result), Some(Part::ReceiptHandle), "{wrong}");
        }
    }

    #[test]
    fn filters_are_read() {
        for all in ["", "*", " * "] {
            assert_eq!(Filter::new(false, all), Ok(Filter::ALL));
        }
        for (is_sql, expression, kind) in [(false, "a", "TAG"), (true, "a>1", "SQL92")] {
            let filter = Filter::new(is_sql, expression).unwrap();
            assert_eq!((filter.kind(), filter.expression), (kind, expression));
        }
        let long = "a".repeat(MAX_FILTER + 1);
        for (is_sql, wrong) in [
            (true, " "),
            (true, ""),
            (false, "||"),
            (false, " || "),
            (false, &*long),
        ] {
            assert_eq!(part(Filter::new(is_sql, wrong)), Some(Part::Filter));
        }
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
