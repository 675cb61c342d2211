//! Which messages a topic takes.

use remoting_codec::message::is_group_topic;

use super::ensure;
use crate::error::{MessagingError, Part};
use crate::kind::MessageKind;

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

    /// The kinds of messages that are advertised to producers
    /// (`RouteActivity.parseTopicMessageType`); none if the topic's type is not known.
    #[must_use]
    pub fn accepted(self) -> &'static [MessageKind] {
        match self {
            Self::Unspecified => &[],
            Self::Normal => &[MessageKind::Normal],
            Self::Fifo => &[MessageKind::Fifo],
            Self::Delay => &[MessageKind::Delay],
            Self::Transaction => &[MessageKind::Transaction],
            Self::Priority => &[MessageKind::Priority],
            Self::Lite => &[MessageKind::Lite],
            Self::Mixed => &[
                MessageKind::Normal,
                MessageKind::Fifo,
                MessageKind::Delay,
                MessageKind::Transaction,
            ],
        }
    }

    /// Whether the topic of this type and name takes messages of that kind
    /// (`DefaultTopicMessageTypeValidator.validate`). Brokers do not look at it. Topics of retries
    /// and of dead letters have no type, and take all.
    ///
    /// A topic whose type is not known takes all: the Java proxy refuses all, and so no message
    /// gets to a topic that its first message would make.
    ///
    /// # Errors
    /// [`Part::MessageKind`].
    pub fn check(self, topic: &str, message: MessageKind) -> Result<(), MessagingError> {
        let is_right = match self {
            Self::Unspecified | Self::Mixed => true,
            _ => self.accepted().contains(&message) || is_group_topic(topic),
        };
        ensure(is_right, Part::MessageKind, || {
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
    use super::super::tests::part;
    use super::*;

    #[test]
    fn topics_take_messages_of_their_type() {
        const ALL: [MessageKind; 6] = [
            MessageKind::Normal,
            MessageKind::Fifo,
            MessageKind::Delay,
            MessageKind::Transaction,
            MessageKind::Lite,
            MessageKind::Priority,
        ];
        for (attribute, taken) in [
            (None, &[MessageKind::Normal][..]),
            (Some("NORMAL"), &[MessageKind::Normal]),
            (Some("fifo"), &[MessageKind::Fifo]),
            (Some("DELAY"), &[MessageKind::Delay]),
            (Some("TRANSACTION"), &[MessageKind::Transaction]),
            (Some("PRIORITY"), &[MessageKind::Priority]),
            (Some("LITE"), &[MessageKind::Lite]),
            (Some("MIXED"), &ALL),
            (Some("UNSPECIFIED"), &ALL),
            (Some("something"), &ALL),
        ] {
            let topic = TopicType::of_attribute(attribute);
            for message in ALL {
                let expected = (!taken.contains(&message)).then_some(Part::MessageKind);
                let found = part(topic.check("T", message));
                assert_eq!(found, expected, "{topic:?} {message:?}");
                assert_eq!(topic.check("%DLQ%G", message), Ok(()));
            }
        }
        assert_eq!(TopicType::Mixed.accepted().len(), 4);
    }
}
