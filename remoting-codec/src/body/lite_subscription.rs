//! The body of LITE_SUBSCRIPTION_CTL (200071): which lite topics a client wants
//! (`LiteSubscriptionCtlRequestBody`, `LiteSubscriptionDTO`).

use serde::Serialize;

/// A change of the lite topics that a client has subscribed to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiteSubscription<'a> {
    /// What becomes of the topics listed.
    pub action: LiteAction,
    /// The client.
    pub client_id: &'a str,
    /// The consumer's group.
    pub group: &'a str,
    /// The topic that they are below.
    pub topic: &'a str,
    /// The lite topics.
    pub lite_topic_set: &'a [String],
    /// Where their consumption starts. Without it, where the group was last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_option: Option<LiteOffset>,
    /// The client's number for the change; brokers of 5.5.0 do not look at it.
    pub version: i64,
}

/// What becomes of the lite topics listed (`LiteSubscriptionAction`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LiteAction {
    /// They are subscribed to as well.
    PartialAdd,
    /// They are no longer subscribed to.
    PartialRemove,
    /// They are all that is subscribed to.
    CompleteAdd,
    /// Nothing is subscribed to any more.
    CompleteRemove,
}

/// Where the consumption of a lite topic starts (`OffsetOption`).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LiteOffset {
    /// The meaning of the value.
    pub r#type: LiteOffsetType,
    /// With a policy: 0 where the group was last, 1 at the first message, 2 at the next. Else an
    /// offset, a number of messages before where the group was last, or milliseconds since 1970.
    pub value: i64,
}

/// The meaning of a [`LiteOffset`]'s value (`OffsetOption.Type`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LiteOffsetType {
    /// By rule.
    Policy,
    /// At an offset.
    Offset,
    /// So many messages before where the group was last.
    TailN,
    /// At a time. Brokers of 5.5.0 take it and do nothing.
    Timestamp,
}

impl<'a> LiteSubscription<'a> {
    /// The end of all that the client has subscribed to.
    #[must_use]
    pub fn none(client_id: &'a str, group: &'a str, topic: &'a str) -> Self {
        Self {
            action: LiteAction::CompleteRemove,
            client_id,
            group,
            topic,
            lite_topic_set: &[],
            offset_option: None,
            version: 0,
        }
    }

    /// Writes the body of a request with this change alone.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            subscription_set: [&'a LiteSubscription<'a>; 1],
        }
        super::write(&Body {
            subscription_set: [self],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_written_as_java_writes_it() {
        let change = LiteSubscription {
            action: LiteAction::PartialAdd,
            client_id: "c",
            group: "g",
            topic: "t",
            lite_topic_set: &["red".to_owned()],
            offset_option: Some(LiteOffset {
                r#type: LiteOffsetType::TailN,
                value: 3,
            }),
            version: 1,
        };
        let expected = concat!(
            r#"{"subscriptionSet":[{"action":"PARTIAL_ADD","clientId":"c","group":"g","#,
            r#""topic":"t","liteTopicSet":["red"],"offsetOption":{"type":"TAIL_N","value":3},"#,
            r#""version":1}]}"#
        );
        assert_eq!(change.encode(), expected.as_bytes());
    }
}
