//! The topic that a popped message is stored in.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::error::TextError;

/// The prefix of retry topics (`MixAll.RETRY_GROUP_TOPIC_PREFIX`).
pub const RETRY_PREFIX: &str = "%RETRY%";

/// The prefix of topics of dead letters (`MixAll.DLQ_GROUP_TOPIC_PREFIX`).
pub const DLQ_PREFIX: &str = "%DLQ%";

/// Whether the topic is of a group's retries or dead letters.
#[must_use]
pub fn is_group_topic(topic: &str) -> bool {
    topic.starts_with(RETRY_PREFIX) || topic.starts_with(DLQ_PREFIX)
}

/// The topic that a popped message is stored in: the requested one, or one of its two retry topics
/// for the group.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TopicMark {
    /// `topic`: 0.
    Normal,
    /// `%RETRY%group_topic`: 1, the default of brokers without `enableRetryTopicV2`.
    RetryV1,
    /// `%RETRY%group+topic`: 2.
    RetryV2,
}

impl TopicMark {
    /// The mark of a topic (`ExtraInfoUtil.getRetry`). A retry topic with a `+` is of the second
    /// kind: groups and topics cannot have one.
    #[must_use]
    pub fn of_topic(topic: &str) -> Self {
        match topic.strip_prefix(RETRY_PREFIX) {
            None => Self::Normal,
            Some(rest) if rest.contains('+') => Self::RetryV2,
            Some(_) => Self::RetryV1,
        }
    }

    /// The topic that the message is stored in, which ACK_MESSAGE and CHANGE_MESSAGE_INVISIBLETIME
    /// must name (`ExtraInfoUtil.getRealTopic`).
    #[must_use]
    pub fn stored_topic<'a>(self, topic: &'a str, group: &str) -> Cow<'a, str> {
        let between = match self {
            Self::Normal => return Cow::Borrowed(topic),
            Self::RetryV1 => '_',
            Self::RetryV2 => '+',
        };
        Cow::Owned(format!("{RETRY_PREFIX}{group}{between}{topic}"))
    }

    /// The topic that a message was sent to, by the one that it is stored in
    /// (`KeyBuilder.parseNormalTopic`): the same unless it is a POP retry topic of this group.
    #[must_use]
    pub fn original_topic<'a>(stored: &'a str, group: &str) -> &'a str {
        stored
            .strip_prefix(RETRY_PREFIX)
            .and_then(|rest| rest.strip_prefix(group))
            .and_then(|rest| rest.strip_prefix(['_', '+']))
            .unwrap_or(stored)
    }
}

impl fmt::Display for TopicMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "0",
            Self::RetryV1 => "1",
            Self::RetryV2 => "2",
        })
    }
}

impl FromStr for TopicMark {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        match text {
            "0" => Ok(Self::Normal),
            "1" => Ok(Self::RetryV1),
            "2" => Ok(Self::RetryV2),
            _ => Err(TextError::new("a topic's mark", text)),
        }
    }
}
