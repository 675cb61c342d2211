//! Receipts, by which popped messages are acknowledged (`ExtraInfoUtil`, `ReceiptHandle`).

use std::fmt;

use super::property::INNER_MULTI_QUEUE_OFFSET;
use super::{PopOffsets, StoredMessage, TopicMark};
use crate::error::TextError;
use crate::headers::{PopLiteMessageResponse, PopMessageResponse};

/// The revive queue of messages that were popped in order (`KeyBuilder.POP_ORDER_REVIVE_QUEUE`).
pub const ORDERLY_REVIVE_QUEUE: i32 = 999;

/// Identifies a popped message at its broker: property POP_CK, and `extraInfo` of ACK_MESSAGE and
/// CHANGE_MESSAGE_INVISIBLETIME.
///
/// The text has these parts in their order, separated by spaces. A broker does not verify it: it
/// answers SUCCESS to an outdated receipt, which has no effect.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Receipt<'a> {
    /// The offset at which the POP started (`startOffsetInfo` of its answer). After a change of the
    /// invisible time it is the message's own offset.
    pub start_offset: i64,
    /// When the message was popped: milliseconds since 1970, by the broker's clock.
    pub pop_time: i64,
    /// For how many milliseconds from then on it is invisible to the group.
    pub invisible_time: i64,
    /// The broker's revive queue that keeps the checkpoint, or [`ORDERLY_REVIVE_QUEUE`].
    pub revive_queue: i32,
    /// The topic that the message is stored in.
    pub mark: TopicMark,
    /// The broker's name. It has no spaces.
    pub broker: &'a str,
    /// The queue's number at that broker.
    pub queue_id: i32,
    /// The message's place in the queue. Absent in receipts that are not for a single message.
    pub queue_offset: Option<i64>,
    /// The message's place in the broker's commit log, by which it can be made a dead letter. gRPC
    /// proxies add it to the receipts that they hand out; brokers ignore it. Written only behind a
    /// queue offset.
    pub commit_log_offset: Option<i64>,
}

impl<'a> Receipt<'a> {
    /// Reads a receipt of at least seven parts; parts after the ninth are ignored.
    ///
    /// # Errors
    /// When a part is missing or malformed.
    pub fn parse(text: &'a str) -> Result<Self, TextError> {
        Self::read(text).ok_or_else(|| TextError::new("a receipt", text))
    }

    fn read(text: &'a str) -> Option<Self> {
        fn further<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Option<Option<i64>> {
            // Java's `split` drops empty parts at the end.
            match parts.next() {
                None | Some("") => Some(None),
                Some(part) => part.parse().ok().map(Some),
            }
        }
        let mut parts = text.split(' ');
        Some(Self {
            start_offset: parts.next()?.parse().ok()?,
            pop_time: parts.next()?.parse().ok()?,
            invisible_time: parts.next()?.parse().ok()?,
            revive_queue: parts.next()?.parse().ok()?,
            mark: parts.next()?.parse().ok()?,
            broker: parts.next().filter(|broker| !broker.is_empty())?,
            queue_id: parts.next()?.parse().ok()?,
            queue_offset: further(&mut parts)?,
            commit_log_offset: further(&mut parts)?,
        })
    }

    /// The receipt of a message in an answer to a POP. A receipt that the broker has written into
    /// the message itself ([`POP_CK`](super::property::POP_CK)) takes precedence. As in the
    /// receipts of clients, there is no commit log offset.
    ///
    /// `None` when the answer has no start offset for the message's queue.
    #[must_use]
    pub fn of_popped(
        message: &StoredMessage<'_>,
        answer: &PopMessageResponse<'_>,
        broker: &'a str,
    ) -> Option<Self> {
        let mark = TopicMark::of_topic(message.topic);
        let starts = answer.start_offset_info?.text();
        let offsets = PopOffsets {
            starts: &starts,
            ..PopOffsets::default()
        };
        Some(Self {
            start_offset: offsets.start_of(mark, message.queue_id)?,
            pop_time: answer.pop_time,
            invisible_time: answer.invisible_time,
            revive_queue: answer.revive_queue,
            mark,
            broker,
            queue_id: message.queue_id,
            queue_offset: Some(message.queue_offset),
            commit_log_offset: None,
        })
    }

    /// The receipt of a message in an answer to POP_LITE_MESSAGE (`processPopLiteResponse` of
    /// `MQClientAPIImpl`): lite topics have one queue, in which the message carries its place.
    ///
    /// `None` when the message is of no lite topic, or of other queues as well.
    #[must_use]
    pub fn of_lite(
        message: &StoredMessage<'_>,
        answer: &PopLiteMessageResponse<'_>,
        broker: &'a str,
    ) -> Option<Self> {
        let offsets = message.properties.get(INNER_MULTI_QUEUE_OFFSET)?;
        Some(Self {
            start_offset: 0,
            pop_time: answer.pop_time,
            invisible_time: answer.invisible_time,
            revive_queue: answer.revive_queue,
            mark: TopicMark::Normal,
            broker,
            queue_id: 0,
            // Of several, the text has commas.
            queue_offset: Some(offsets.parse().ok()?),
            commit_log_offset: None,
        })
    }

    /// The broker's name in a receipt; the other parts are not checked.
    #[must_use]
    pub fn broker_in(text: &'a str) -> Option<&'a str> {
        text.split(' ').nth(5).filter(|broker| !broker.is_empty())
    }

    /// When the message is visible to the group again, by the broker's clock: milliseconds since
    /// 1970.
    #[must_use]
    pub fn visible_time(&self) -> i64 {
        self.pop_time.saturating_add(self.invisible_time)
    }

    /// Whether the message was popped in order.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        self.revive_queue == ORDERLY_REVIVE_QUEUE
    }
}

impl fmt::Display for Receipt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            start_offset,
            pop_time,
            invisible_time,
            revive_queue,
            mark,
            broker,
            queue_id,
            queue_offset,
            commit_log_offset,
        } = self;
        write!(
            f,
            "{start_offset} {pop_time} {invisible_time} {revive_queue} {mark} {broker} {queue_id}"
        )?;
        let Some(queue_offset) = queue_offset else {
            return Ok(());
        };
        write!(f, " {queue_offset}")?;
        commit_log_offset.map_or(Ok(()), |offset| write!(f, " {offset}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_read_and_written() {
        let seven = "100 1700000000000 60000 3 1 broker-a 2";
        let receipt = Receipt::parse(seven).unwrap();
        assert_eq!(receipt.mark, TopicMark::RetryV1);
        assert_eq!((receipt.broker, receipt.queue_id), ("broker-a", 2));
        assert_eq!(receipt.queue_offset, None);
        assert_eq!(receipt.visible_time(), 1_700_000_060_000);
        assert!(!receipt.is_orderly());
        for more in ["", " 105", " 105 4711"] {
            let text = format!("{seven}{more}");
            assert_eq!(Receipt::parse(&text).unwrap().to_string(), text);
        }
        let more = format!("{seven} 105 4711 something else");
        let read = Receipt::parse(&more).unwrap();
        assert_eq!(
            (read.queue_offset, read.commit_log_offset),
            (Some(105), Some(4711))
        );
        assert_eq!(Receipt::parse(&format!("{seven}  ")), Ok(receipt));
        assert_eq!(Receipt::broker_in(seven), Some("broker-a"));
        let orderly = seven.replace(" 3 ", " 999 ");
        assert!(Receipt::parse(&orderly).unwrap().is_orderly());
    }

    #[test]
    fn text_that_is_no_receipt_is_refused() {
        for none in [
            "",
            "100 1700000000000 60000 3 1 broker-a",
            "100 1700000000000 60000 3 1  2 105",
            "100 1700000000000 60000 3 3 broker-a 2 105",
            "100 1700000000000 60000 3 1 broker-a 2 x",
            "99999999999999999999 1700000000000 60000 3 1 broker-a 2 105",
            "100  1700000000000 60000 3 1 broker-a 2 105",
        ] {
            assert!(Receipt::parse(none).is_err(), "{none}");
        }
        let long = "x ".repeat(1000);
        assert!(Receipt::parse(&long).unwrap_err().to_string().len() < 200);
        assert_eq!(Receipt::broker_in("1 2 3"), None);
    }

    #[test]
    fn marks_and_topics_belong_together() {
        for (mark, stored) in [
            (TopicMark::Normal, "T"),
            (TopicMark::RetryV1, "%RETRY%G_T"),
            (TopicMark::RetryV2, "%RETRY%G+T"),
        ] {
            assert_eq!(mark.stored_topic("T", "G"), stored);
            assert_eq!(TopicMark::of_topic(stored), mark);
            assert_eq!(TopicMark::original_topic(stored, "G"), "T");
        }
        for other in ["%RETRY%G", "%RETRY%H_T", "%RETRY%GG_T", "G_T"] {
            assert_eq!(TopicMark::original_topic(other, "G"), other);
        }
    }
}
