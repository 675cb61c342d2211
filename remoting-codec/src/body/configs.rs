//! The answers of GET_TOPIC_CONFIG (`TopicConfigAndQueueMapping`) and of
//! GET_SUBSCRIPTIONGROUP_CONFIG (`SubscriptionGroupConfig`), as far as they are needed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::read;
use crate::error::BodyError;

/// A topic's configuration at one broker.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct TopicConfig {
    /// Its attributes, `message.type` among them.
    #[serde(default)]
    pub attributes: Option<BTreeMap<String, String>>,
}

impl TopicConfig {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("topic config", body)
    }

    /// The value of the attribute that names the type of the topic's messages.
    #[must_use]
    pub fn message_type(&self) -> Option<&str> {
        self.attributes
            .as_ref()?
            .get("message.type")
            .map(|value| &**value)
    }
}

/// A consumer group's configuration at one broker. The defaults are those of a group that a broker
/// makes by itself.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupConfig {
    /// Whether the messages of a queue are handed out in order.
    pub consume_message_orderly: bool,
    /// Its attributes, `lite.bind.topic` among them (`SubscriptionGroupAttributes`).
    pub attributes: Option<BTreeMap<String, String>>,
    /// How often a message is delivered again before it becomes a dead letter.
    pub retry_max_times: i32,
    /// How many minutes a consumer may take for a message.
    pub consume_timeout_minute: i32,
    /// After which times a message is delivered again.
    pub group_retry_policy: Option<GroupRetryPolicy>,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            consume_message_orderly: false,
            attributes: None,
            retry_max_times: 16,
            consume_timeout_minute: 15,
            group_retry_policy: None,
        }
    }
}

impl GroupConfig {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("subscription group config", body)
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let value = self.attributes.as_ref()?.get(name)?;
        Some(value).map(|value| &**value)
    }

    /// The topic whose lite topics the group consumes; `None` if it is a group of another kind
    /// (`SubscriptionGroupConfig.getLiteBindTopic`).
    #[must_use]
    pub fn lite_topic_parent(&self) -> Option<&str> {
        self.attribute("lite.bind.topic")
            .filter(|topic| !topic.is_empty())
    }

    /// How many lite topics a client of the group may subscribe to, if the group has a quota of its
    /// own (`SubscriptionGroupConfig.getLiteSubClientQuota`).
    #[must_use]
    pub fn lite_quota(&self) -> Option<i32> {
        self.attribute("lite.sub.client.quota")?.parse().ok()
    }
}

/// After which times a group's messages are delivered again (`GroupRetryPolicy`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupRetryPolicy {
    /// `EXPONENTIAL` or `CUSTOMIZED`; the latter if it is absent.
    pub r#type: Option<String>,
    /// The times of the type `EXPONENTIAL`.
    pub exponential_retry_policy: Option<ExponentialRetryPolicy>,
    /// The times of the type `CUSTOMIZED`.
    pub customized_retry_policy: Option<CustomizedRetryPolicy>,
}

/// Growing times (`ExponentialRetryPolicy`), in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(default)]
pub struct ExponentialRetryPolicy {
    /// The time after the first failure, in milliseconds.
    pub initial: i64,
    /// The longest time, in milliseconds.
    pub max: i64,
    /// How many times longer each is than the one before.
    pub multiplier: i64,
}

impl Default for ExponentialRetryPolicy {
    fn default() -> Self {
        Self {
            initial: 5_000,
            max: 7_200_000,
            multiplier: 2,
        }
    }
}

/// Times one by one (`CustomizedRetryPolicy`), in milliseconds; the last one for all that follow.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct CustomizedRetryPolicy {
    /// The times, in milliseconds, in their order.
    pub next: Vec<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_answers_is_read() {
        let body =
            br#"{"attributes":{"message.type":"FIFO"},"order":false,"perm":6,"topicName":"t"}"#;
        assert_eq!(
            TopicConfig::decode(body).unwrap().message_type(),
            Some("FIFO")
        );
        let body = br#"{"order":false,"perm":6}"#;
        assert_eq!(TopicConfig::decode(body).unwrap().message_type(), None);
        let body =
            br#"{"attributes":{},"brokerId":0,"consumeEnable":true,"consumeMessageOrderly":true,
            "consumeTimeoutMinute":15,"groupName":"g","groupRetryPolicy":{"type":"CUSTOMIZED"},
            "retryMaxTimes":2,"retryQueueNums":1}"#;
        let group = GroupConfig::decode(body).unwrap();
        assert!(group.consume_message_orderly);
        assert_eq!(
            (group.retry_max_times, group.consume_timeout_minute),
            (2, 15)
        );
        assert_eq!(
            (group.lite_topic_parent(), group.lite_quota()),
            (None, None)
        );
        let body = br#"{"attributes":{"lite.bind.topic":"t","lite.sub.client.quota":"7"}}"#;
        let group = GroupConfig::decode(body).unwrap();
        assert_eq!(
            (group.lite_topic_parent(), group.lite_quota()),
            (Some("t"), Some(7))
        );
        assert_eq!(GroupConfig::decode(b"{}").unwrap(), GroupConfig::default());
        let body = br#"{"groupRetryPolicy":{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":1000,"max":2000,"multiplier":2}}}"#;
        let policy = GroupConfig::decode(body)
            .unwrap()
            .group_retry_policy
            .unwrap();
        assert_eq!(policy.exponential_retry_policy.unwrap().max, 2_000);
    }
}
