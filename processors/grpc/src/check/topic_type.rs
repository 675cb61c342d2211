//! Which messages a topic takes.

use super::ensure;
use crate::error::CallError;
use crate::proto::{Code, MessageType};

/// A topic's type: its attribute `message.type` (`TopicMessageType`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TopicType {
    /// Not known here: the topic does not exist yet, or no broker has answered.
    #[default]
    Unspecified,
    /// Ordinary messages; the type of a topic without the attribute.
    Normal,
    /// Messages with a message group.
    Fifo,
    /// Messages with a delivery time.
    Delay,
    /// Transactional messages.
    Transaction,
    /// Messages with a priority.
    Priority,
    /// Messages of lite topics.
    Lite,
    /// Messages of all types. Brokers of 5.5.0 refuse to make a topic so, and serve those that are.
    Mixed,
}

/// With the names of the attribute's values.
const NAMES: [(&str, TopicType); 7] = [
    ("NORMAL", TopicType::Normal),
    ("FIFO", TopicType::Fifo),
    ("DELAY", TopicType::Delay),
    ("TRANSACTION", TopicType::Transaction),
    ("PRIORITY", TopicType::Priority),
    ("LITE", TopicType::Lite),
    ("MIXED", TopicType::Mixed),
];

impl TopicType {
    /// Of the attribute's value, as `attributes` of GET_TOPIC_CONFIG has it; without the attribute,
    /// a topic is for ordinary messages (`TopicConfig.getTopicMessageType`).
    #[must_use]
    pub fn of_attribute(value: Option<&str>) -> Self {
        let Some(value) = value else {
            return Self::Normal;
        };
        let mut names = NAMES.iter();
        let known = names.find(|(name, _)| name.eq_ignore_ascii_case(value));
        known.map_or(Self::Unspecified, |(_, topic_type)| *topic_type)
    }

    /// The types of messages that are advertised to producers
    /// (`RouteActivity.parseTopicMessageType`).
    #[must_use]
    pub fn accepted(self) -> &'static [MessageType] {
        match self {
            Self::Unspecified => &[MessageType::Unspecified],
            Self::Normal => &[MessageType::Normal],
            Self::Fifo => &[MessageType::Fifo],
            Self::Delay => &[MessageType::Delay],
            Self::Transaction => &[MessageType::Transaction],
            Self::Priority => &[MessageType::Priority],
            Self::Lite => &[MessageType::Lite],
            Self::Mixed => &[
                MessageType::Normal,
                MessageType::Fifo,
                MessageType::Delay,
                MessageType::Transaction,
            ],
        }
    }

    /// Whether the topic takes messages of that type (`DefaultTopicMessageTypeValidator.validate`).
    /// Brokers do not look at it. For topics of retries and of dead letters it must not be asked.
    ///
    /// A topic whose type is not known takes all: the Java proxy refuses all, and so no message
    /// gets to a topic that its first message would make.
    ///
    /// # Errors
    /// MESSAGE_PROPERTY_CONFLICT_WITH_TYPE.
    pub fn check(self, message: MessageType) -> Result<(), CallError> {
        let is_right = match self {
            Self::Unspecified | Self::Mixed => true,
            _ => self.accepted().contains(&message),
        };
        ensure(is_right, Code::MessagePropertyConflictWithType, || {
            let accepted = self.accepted().first().map_or("other", |kind| kind.name());
            let message = message.name();
            format!(
                "the topic takes messages of type {accepted}, and this one is of type {message}: \
                 send it to a topic of its type"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_take_messages_of_their_type() {
        const ALL: [MessageType; 6] = [
            MessageType::Normal,
            MessageType::Fifo,
            MessageType::Delay,
            MessageType::Transaction,
            MessageType::Lite,
            MessageType::Priority,
        ];
        for (attribute, taken) in [
            (None, &[MessageType::Normal][..]),
            (Some("NORMAL"), &[MessageType::Normal]),
            (Some("fifo"), &[MessageType::Fifo]),
            (Some("DELAY"), &[MessageType::Delay]),
            (Some("TRANSACTION"), &[MessageType::Transaction]),
            (Some("PRIORITY"), &[MessageType::Priority]),
            (Some("LITE"), &[MessageType::Lite]),
            (Some("MIXED"), &ALL),
            (Some("UNSPECIFIED"), &ALL),
            (Some("something"), &ALL),
        ] {
            let topic = TopicType::of_attribute(attribute);
            for message in ALL {
                let result = topic.check(message);
                assert_eq!(
                    result.is_ok(),
                    taken.contains(&message),
                    "{topic:?} {message:?}"
                );
                let conflict = Code::MessagePropertyConflictWithType;
                assert!(result.err().is_none_or(|error| error.code == conflict));
            }
        }
        assert_eq!(TopicType::Mixed.accepted().len(), 4);
    }
}
