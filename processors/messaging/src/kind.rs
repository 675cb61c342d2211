//! What is special about a message.

use remoting_codec::message::{Properties, property};

/// What is special about a message; a topic takes messages of one kind (`TopicMessageType`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MessageKind {
    /// Nothing.
    Normal,
    /// It is consumed in order with others of its message group.
    Fifo,
    /// It is delivered at a time.
    Delay,
    /// It is delivered when its transaction was committed.
    Transaction,
    /// It has a priority; from 5.5 on.
    Priority,
    /// It is of a lite topic; from 5.5 on.
    Lite,
}

impl MessageKind {
    /// The kind of a message that has these properties
    /// (`TopicMessageType.parseFromMessageProperty`).
    #[must_use]
    pub fn of(properties: Properties<'_>, is_transactional: bool) -> Self {
        /// By their rank: of two kinds that a message could be of, it is of the first.
        const BY_NAME: [(&str, MessageKind); 7] = [
            (property::DELAY, MessageKind::Delay),
            (property::TIMER_DELIVER_MS, MessageKind::Delay),
            (property::TIMER_DELAY_SEC, MessageKind::Delay),
            (property::TIMER_DELAY_MS, MessageKind::Delay),
            (property::SHARDING_KEY, MessageKind::Fifo),
            (property::PRIORITY, MessageKind::Priority),
            (property::LITE_TOPIC, MessageKind::Lite),
        ];
        if is_transactional {
            return Self::Transaction;
        }
        let rank_of = |name: &[u8]| {
            let mut known = BY_NAME.iter();
            known.position(|(known, _)| known.as_bytes() == name)
        };
        let first = properties.names().filter_map(rank_of).min();
        let kind = first.and_then(|rank| BY_NAME.get(rank));
        kind.map_or(Self::Normal, |(_, kind)| *kind)
    }

    /// The kind's name, as a topic's attribute `message.type` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Fifo => "FIFO",
            Self::Delay => "DELAY",
            Self::Transaction => "TRANSACTION",
            Self::Priority => "PRIORITY",
            Self::Lite => "LITE",
        }
    }
}
