//! What a popped message is acknowledged with.

use std::time::Duration;

use remoting_codec::message::{Receipt, TopicMark};

use super::binary::{Reader, Writer, hash};
use super::problem::{Problem, Word};

const KIND: u8 = b'h';

/// The broker's receipt of a popped message. Its text is opaque to clients; any replica reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handle {
    start_offset: i64,
    pop_time: i64,
    invisible_time: i64,
    revive_queue: i32,
    mark: TopicMark,
    broker: String,
    queue_id: i32,
    queue_offset: i64,
    commit_log_offset: Option<i64>,
    lite_topic: Option<String>,
    /// A hash of the topic and the group that the message was popped for.
    of: u32,
    /// The stream that has the message; 0 for none.
    stream: u64,
}

/// Why a text is no handle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandleError {
    /// This API has not made it, or it was changed.
    Unknown,
    /// It is of another topic or group.
    Elsewhere,
}

/// The topic and the group by their names to brokers.
fn hash_of(topic: &str, group: &str) -> u32 {
    // A name has no zero byte.
    hash([topic.as_bytes(), b"\0", group.as_bytes()])
}

fn number_of(mark: TopicMark) -> i64 {
    match mark {
        TopicMark::Normal => 0,
        TopicMark::RetryV1 => 1,
        TopicMark::RetryV2 => 2,
    }
}

fn mark_of(number: i64) -> Option<TopicMark> {
    let marks = [TopicMark::Normal, TopicMark::RetryV1, TopicMark::RetryV2];
    marks.into_iter().find(|mark| number_of(*mark) == number)
}

impl Handle {
    /// The handle of a message that was popped of that topic for that group, both by their names to
    /// brokers. `None` if the receipt is not of a single message.
    #[must_use]
    pub fn new(
        receipt: &Receipt<'_>,
        lite_topic: Option<&str>,
        topic: &str,
        group: &str,
    ) -> Option<Self> {
        Some(Self {
            start_offset: receipt.start_offset,
            pop_time: receipt.pop_time,
            invisible_time: receipt.invisible_time,
            revive_queue: receipt.revive_queue,
            mark: receipt.mark,
            broker: receipt.broker.to_owned(),
            queue_id: receipt.queue_id,
            queue_offset: receipt.queue_offset?,
            commit_log_offset: receipt.commit_log_offset,
            lite_topic: lite_topic.map(str::to_owned),
            of: hash_of(topic, group),
            stream: 0,
        })
    }

    /// Its text.
    #[must_use]
    pub fn encode(&self) -> String {
        let commit_log_offset = self.commit_log_offset.unwrap_or(-1);
        Writer::new(KIND)
            .number(self.of.into())
            .number(self.pop_time)
            .number(self.invisible_time)
            .number(self.revive_queue.into())
            .number(number_of(self.mark))
            .text(&self.broker)
            .number(self.queue_id.into())
            .number(self.start_offset)
            // Near to the start.
            .number(self.queue_offset.wrapping_sub(self.start_offset))
            .number(commit_log_offset)
            .text(self.lite_topic.as_deref().unwrap_or_default())
            .number(self.stream.cast_signed())
            .finish()
    }

    /// Reads the text, for that topic and group by their names to brokers.
    ///
    /// # Errors
    /// When it is no handle, or that of another topic or group.
    pub fn decode(text: &str, topic: &str, group: &str) -> Result<Self, HandleError> {
        let handle = Self::read(text).ok_or(HandleError::Unknown)?;
        match handle.of == hash_of(topic, group) {
            true => Ok(handle),
            false => Err(HandleError::Elsewhere),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = Reader::new(KIND, text)?;
        let of = parts.small()?;
        let pop_time = parts.number()?;
        let invisible_time = parts.number()?;
        let revive_queue = parts.small()?;
        let mark = mark_of(parts.number()?)?;
        // A receipt has its parts between spaces.
        let broker = parts.text();
        let broker = broker.filter(|name| !name.is_empty() && !name.contains(' '))?;
        let queue_id = parts.small()?;
        let start_offset = parts.number()?;
        let queue_offset = start_offset.wrapping_add(parts.number()?);
        let commit_log_offset = parts.number()?;
        let lite_topic = parts.text()?;
        let stream = parts.number()?.cast_unsigned();
        parts.finish(Self {
            start_offset,
            pop_time,
            invisible_time,
            revive_queue,
            mark,
            broker,
            queue_id,
            queue_offset,
            commit_log_offset: (commit_log_offset >= 0).then_some(commit_log_offset),
            lite_topic: (!lite_topic.is_empty()).then_some(lite_topic),
            of,
            stream,
        })
    }

    /// The same of a message that was handed out in that stream of events.
    #[must_use]
    pub fn in_stream(self, stream: u64) -> Self {
        Self { stream, ..self }
    }

    /// The stream of events that the message was handed out in; 0 for none. It is known to one
    /// replica only, which counts by it what the stream has outstanding.
    #[must_use]
    pub fn stream(&self) -> u64 {
        self.stream
    }

    /// For how long the message is invisible to others.
    #[must_use]
    pub fn invisible(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.invisible_time).unwrap_or_default())
    }

    /// The broker's receipt.
    #[must_use]
    pub fn receipt(&self) -> Receipt<'_> {
        Receipt {
            start_offset: self.start_offset,
            pop_time: self.pop_time,
            invisible_time: self.invisible_time,
            revive_queue: self.revive_queue,
            mark: self.mark,
            broker: &self.broker,
            queue_id: self.queue_id,
            queue_offset: Some(self.queue_offset),
            commit_log_offset: self.commit_log_offset,
        }
    }

    /// The lite topic that the message was popped of.
    #[must_use]
    pub fn lite_topic(&self) -> Option<&str> {
        self.lite_topic.as_deref()
    }

    /// The same message with another receipt, after a change of its invisible time.
    #[must_use]
    pub fn with_receipt(&self, receipt: &Receipt<'_>) -> Self {
        Self {
            start_offset: receipt.start_offset,
            pop_time: receipt.pop_time,
            invisible_time: receipt.invisible_time,
            revive_queue: receipt.revive_queue,
            ..self.clone()
        }
    }
}

impl From<HandleError> for Problem {
    fn from(error: HandleError) -> Self {
        let detail = match error {
            HandleError::Unknown => {
                "not a handle: send the one that the message, or the last extension of its \
                 invisible time, came with"
            }
            HandleError::Elsewhere => {
                "the handle is of another topic or group: acknowledge where the message was pulled"
            }
        };
        Self::new(Word::InvalidHandle, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt<'static> {
        Receipt::parse("100 1795253776123 60000 7 1 broker-a 3 105 4711").unwrap()
    }

    #[test]
    fn handles_are_read_as_they_are_written() {
        for (text, lite_topic) in [
            ("100 1795253776123 60000 7 1 broker-a 3 105 4711", None),
            (
                "0 1795253776123 43200000 999 2 b 0 9223372036854775807",
                Some("lite"),
            ),
            (
                "-9223372036854775808 -1 0 -1 0 b -1 9223372036854775807 0",
                None,
            ),
        ] {
            let receipt = Receipt::parse(text).unwrap();
            let handle = Handle::new(&receipt, lite_topic, "T", "G").unwrap();
            let encoded = handle.encode();
            let read = Handle::decode(&encoded, "T", "G").unwrap();
            assert_eq!(read, handle);
            assert_eq!((read.receipt(), read.lite_topic()), (receipt, lite_topic));
            assert!(encoded.len() < 100, "{encoded}");
        }
        let usual = Handle::new(&receipt(), None, "T", "G").unwrap().encode();
        assert!(usual.len() <= 66, "{usual}");
        let of_none = Receipt {
            queue_offset: None,
            ..receipt()
        };
        assert_eq!(Handle::new(&of_none, None, "T", "G"), None);
    }

    #[test]
    fn a_handle_is_of_one_topic_and_group() {
        let text = Handle::new(&receipt(), None, "T", "G").unwrap().encode();
        for (topic, group) in [("T", "g"), ("t", "G"), ("TG", ""), ("", "TG"), ("G", "T")] {
            let read = Handle::decode(&text, topic, group);
            assert_eq!(read, Err(HandleError::Elsewhere), "{topic} {group}");
        }
        for wrong in [
            "",
            "x",
            "100 1795253776123 60000 7 1 broker-a 3 105 4711",
            &text[1..],
        ] {
            let read = Handle::decode(wrong, "T", "G");
            assert_eq!(read, Err(HandleError::Unknown), "{wrong}");
        }
        let problem = Problem::from(HandleError::Unknown);
        assert_eq!(problem.word, Word::InvalidHandle);
    }

    #[test]
    fn what_is_no_receipt_is_refused() {
        let with = |broker: &str, mark: i64| {
            Writer::new(KIND)
                .number(hash_of("T", "G").into())
                .number(1)
                .number(1)
                .number(1)
                .number(mark)
                .text(broker)
                .number(0)
                .number(0)
                .number(0)
                .number(-1)
                .text("")
                .number(0)
                .finish()
        };
        assert!(Handle::decode(&with("b", 2), "T", "G").is_ok());
        for (broker, mark) in [("", 0), ("a b", 0), ("b", 3), ("b", -1)] {
            let read = Handle::decode(&with(broker, mark), "T", "G");
            assert_eq!(read, Err(HandleError::Unknown), "{broker} {mark}");
        }
    }

    #[test]
    fn an_extension_changes_the_receipt() {
        let handle = Handle::new(&receipt(), Some("lite"), "T", "G").unwrap();
        let changed = Receipt {
            start_offset: 105,
            pop_time: 5,
            ..receipt()
        };
        let handle = handle.in_stream(u64::MAX).with_receipt(&changed);
        let read = Handle::decode(&handle.encode(), "T", "G").unwrap();
        assert_eq!((read.receipt(), read.lite_topic()), (changed, Some("lite")));
        assert_eq!((read.stream(), read.invisible().as_secs()), (u64::MAX, 60));
    }
}
