//! The queues and offsets of the messages in an answer to POP_MESSAGE (`ExtraInfoUtil`).

use std::fmt;

use super::TopicMark;
use crate::error::TextError;

/// The three fields of an answer to POP_MESSAGE that give the queues and offsets of its messages.
/// Each is a list of entries, separated by `;`, whose parts are separated by spaces; each may be
/// empty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PopOffsets<'a> {
    /// `startOffsetInfo`: for each queue, the offset at which the POP started.
    pub starts: &'a str,
    /// `msgOffsetInfo`: for each queue, the offsets of its messages.
    pub messages: &'a str,
    /// `orderCountInfo`, if it was an orderly POP: how often consumption of messages has failed.
    pub counts: &'a str,
}

/// The offset at which a POP started in a queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StartOffset {
    /// Whether the queue is of the requested topic or of a retry topic.
    pub mark: TopicMark,
    /// The queue's number at its broker.
    pub queue_id: i32,
    /// The place in the queue at which it started.
    pub offset: i64,
}

/// The offsets of the messages of a queue that an answer has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageOffsets<'a> {
    /// Whether the queue is of the requested topic or of a retry topic.
    pub mark: TopicMark,
    /// The queue's number at its broker.
    pub queue_id: i32,
    /// The offsets, separated by commas.
    offsets: &'a str,
}

/// How often consumption of a message has failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OrderCount {
    /// Whether the queue is of the requested topic or of a retry topic.
    pub mark: TopicMark,
    /// The queue's number at its broker.
    pub queue_id: i32,
    /// The message's place in the queue; absent in the entry that counts for all other messages of
    /// the queue.
    pub offset: Option<i64>,
    /// How many times consumption has failed.
    pub count: i32,
}

impl<'a> PopOffsets<'a> {
    /// The offset at which the POP started, for each queue.
    pub fn starts(&self) -> impl Iterator<Item = Result<StartOffset, TextError>> + use<'a> {
        entries(self.starts).map(|entry| {
            let start = parts(entry).and_then(|(mark, queue, offset)| {
                Some(StartOffset {
                    mark,
                    queue_id: queue.parse().ok()?,
                    offset: offset.parse().ok()?,
                })
            });
            start.ok_or_else(|| TextError::new("a start offset", entry))
        })
    }

    /// The messages that the answer has, for each queue.
    pub fn messages(
        &self,
    ) -> impl Iterator<Item = Result<MessageOffsets<'a>, TextError>> + use<'a> {
        entries(self.messages).map(|entry| {
            let offsets = parts(entry).and_then(|(mark, queue, offsets)| {
                MessageOffsets::new(mark, queue.parse().ok()?, offsets)
            });
            offsets.ok_or_else(|| TextError::new("a list of message offsets", entry))
        })
    }

    /// How often consumption of messages has failed.
    pub fn counts(&self) -> impl Iterator<Item = Result<OrderCount, TextError>> + use<'a> {
        entries(self.counts).map(|entry| {
            let count = parts(entry).and_then(|(mark, key, count)| {
                let (queue, offset) = match key.strip_prefix(OFFSET_KEY) {
                    Some(key) => {
                        let (queue, offset) = key.split_once('%')?;
                        (queue, Some(offset.parse().ok()?))
                    }
                    None => (key, None),
                };
                Some(OrderCount {
                    mark,
                    queue_id: queue.parse().ok()?,
                    offset,
                    count: count.parse().ok()?,
                })
            });
            count.ok_or_else(|| TextError::new("an order count", entry))
        })
    }

    /// The offset at which the POP started in that queue: a message's [receipt](super::Receipt)
    /// needs it. This and [`count_of`](Self::count_of) skip entries that cannot be read.
    #[must_use]
    pub fn start_of(&self, mark: TopicMark, queue_id: i32) -> Option<i64> {
        let mut starts = self.starts().flatten();
        let start = starts.find(|start| start.mark == mark && start.queue_id == queue_id);
        start.map(|start| start.offset)
    }

    /// How often consumption of the message at that place has failed, by the entry of the message
    /// or else of its queue (`MQClientAPIImpl.processPopResponse`).
    #[must_use]
    pub fn count_of(&self, mark: TopicMark, queue_id: i32, offset: i64) -> Option<i32> {
        let find = |offset| {
            let mut counts = self.counts().flatten();
            counts.find(|count| {
                count.mark == mark && count.queue_id == queue_id && count.offset == offset
            })
        };
        let count = find(Some(offset)).or_else(|| find(None));
        count.map(|count| count.count)
    }
}

impl<'a> MessageOffsets<'a> {
    /// `offsets` must be a list of numbers, separated by commas; `None` if it is not, or is empty.
    #[must_use]
    pub fn new(mark: TopicMark, queue_id: i32, offsets: &'a str) -> Option<Self> {
        let are_numbers = offsets
            .split(',')
            .all(|offset| offset.parse::<i64>().is_ok());
        are_numbers.then_some(Self {
            mark,
            queue_id,
            offsets,
        })
    }

    /// The offsets, in the order of the answer's messages.
    pub fn offsets(&self) -> impl Iterator<Item = i64> + use<'a> {
        self.offsets
            .split(',')
            .filter_map(|offset| offset.parse().ok())
    }
}

/// The prefix of the middle part of an order count for one message.
const OFFSET_KEY: &str = "qo";

/// The entries of a list; an empty list has none. Java drops empty entries at the end.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    let list = list.trim_end_matches(';');
    list.split(';').filter(move |_| !list.is_empty())
}

/// The mark, the middle part and the last part; `None` unless the entry has exactly these three.
fn parts(entry: &str) -> Option<(TopicMark, &str, &str)> {
    let mut parts = entry.split(' ');
    let (mark, key, value) = (parts.next()?, parts.next()?, parts.next()?);
    let mark = mark.parse().ok()?;
    parts.next().is_none().then_some((mark, key, value))
}

impl fmt::Display for StartOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.mark, self.queue_id, self.offset)
    }
}

impl fmt::Display for MessageOffsets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.mark, self.queue_id, self.offsets)
    }
}

impl fmt::Display for OrderCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, queue, count) = (self.mark, self.queue_id, self.count);
        match self.offset {
            Some(offset) => write!(f, "{mark} {OFFSET_KEY}{queue}%{offset} {count}"),
            None => write!(f, "{mark} {queue} {count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSETS: PopOffsets<'static> = PopOffsets {
        starts: "0 3 100;1 0 5;2 0 7",
        messages: "0 3 100,101,103;1 0 5",
        counts: "0 qo3%101 2;0 3 1;1 0 4",
    };

    fn joined<T: fmt::Display>(entries: impl Iterator<Item = Result<T, TextError>>) -> String {
        let entries: Vec<String> = entries.map(|entry| entry.unwrap().to_string()).collect();
        entries.join(";")
    }

    #[test]
    fn lists_are_read_and_written() {
        assert_eq!(joined(OFFSETS.starts()), OFFSETS.starts);
        assert_eq!(joined(OFFSETS.messages()), OFFSETS.messages);
        assert_eq!(joined(OFFSETS.counts()), OFFSETS.counts);
        let first = OFFSETS.messages().next().unwrap().unwrap();
        assert_eq!(first.offsets().collect::<Vec<_>>(), [100, 101, 103]);
        assert_eq!(PopOffsets::default().starts().count(), 0);
        let ended = PopOffsets {
            starts: "0 3 100;",
            ..OFFSETS
        };
        assert_eq!(joined(ended.starts()), "0 3 100");
    }

    #[test]
    fn starts_and_counts_are_found() {
        assert_eq!(OFFSETS.start_of(TopicMark::Normal, 3), Some(100));
        assert_eq!(OFFSETS.start_of(TopicMark::RetryV2, 0), Some(7));
        assert_eq!(OFFSETS.start_of(TopicMark::Normal, 0), None);
        assert_eq!(OFFSETS.count_of(TopicMark::Normal, 3, 101), Some(2));
        assert_eq!(OFFSETS.count_of(TopicMark::Normal, 3, 100), Some(1));
        assert_eq!(OFFSETS.count_of(TopicMark::RetryV2, 0, 7), None);
    }

    #[test]
    fn text_that_is_no_entry_is_refused() {
        for entry in [
            "x", ";0 3 100", "0 3", "0 3 x", "3 3 1", "0 3 1 2", "0  3 1", "0 x 1",
        ] {
            let offsets = PopOffsets {
                starts: entry,
                messages: entry,
                counts: entry,
            };
            assert!(offsets.starts().any(|start| start.is_err()), "{entry}");
            assert!(offsets.messages().any(|queue| queue.is_err()), "{entry}");
            assert!(offsets.counts().any(|count| count.is_err()), "{entry}");
        }
        assert!(MessageOffsets::new(TopicMark::Normal, 0, "1,,2").is_none());
        assert!(MessageOffsets::new(TopicMark::Normal, 0, "").is_none());
    }
}
