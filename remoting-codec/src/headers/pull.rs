//! PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361).

use super::{Text, header};

header! {
    /// Asks for a queue's messages from an offset on (`PullMessageRequestHeader`).
    pub struct PullMessageRequest<'a> {
        /// Name of the broker that has the queue. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The group whose subscription filters the messages.
        group: Text<'a> = "consumerGroup",
        /// The queue's topic, which may be the group's retry topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
        /// The offset of the first message to return.
        queue_offset: i64 = "queueOffset",
        /// The greatest number of messages to return.
        max_msg_nums: i32 = "maxMsgNums",
        /// 1: store `commit_offset`; 2: the broker may wait for messages; 4: the request has a
        /// `subscription`; 8: filtered by a class; 16: a lite pull (`PullSysFlag`).
        sys_flag: i32 = "sysFlag",
        /// The offset up to which the group has consumed the queue.
        commit_offset: i64 = "commitOffset",
        /// For how many milliseconds the broker may wait.
        suspend_timeout_millis: i64 = "suspendTimeoutMillis",
        /// The filter: tags or SQL.
        subscription: Option<Text<'a>> = "subscription",
        /// When the consumer has subscribed: milliseconds since 1970, or 0.
        sub_version: i64 = "subVersion",
        /// `TAG` or `SQL92`.
        expression_type: Option<Text<'a>> = "expressionType",
        /// The greatest number of bytes to return.
        max_msg_bytes: Option<i32> = "maxMsgBytes",
        /// The kind of the sender (`RequestSource`): -1 a client, 0 to 2 a proxy.
        request_source: Option<i32> = "requestSource",
        /// The id of the client on whose behalf a proxy pulls. The name is misspelt in the
        /// reference.
        proxy_forward_client_id: Option<Text<'a>> = "proxyFrowardClientId",
        /// 5.5: the lite topic, if the topic has lite topics.
        lite_topic: Option<Text<'a>> = "liteTopic",
    }
}

header! {
    /// The answer (`PullMessageResponseHeader`), with SUCCESS, PULL_NOT_FOUND (19),
    /// PULL_RETRY_IMMEDIATELY (20) and PULL_OFFSET_MOVED (21): clients need the first four fields
    /// with each.
    pub struct PullMessageResponse {
        /// The broker id to pull from next: 0 is the master, others are slaves.
        suggest_which_broker_id: i64 = "suggestWhichBrokerId",
        /// The offset to pull from next: behind the returned and the filtered messages, or the
        /// corrected one.
        next_begin_offset: i64 = "nextBeginOffset",
        /// The queue's first offset.
        min_offset: i64 = "minOffset",
        /// The offset of the queue's next message.
        max_offset: i64 = "maxOffset",
        /// For a queue of a static topic: the number to add to the offsets of the messages.
        offset_delta: Option<i64> = "offsetDelta",
        /// Bits of the topic's (`TopicSysFlag`).
        topic_sys_flag: Option<i32> = "topicSysFlag",
        /// Bits of the group's (`SubscriptionGroupConfig.groupSysFlag`).
        group_sys_flag: Option<i32> = "groupSysFlag",
        /// With NO_PERMISSION (16), the reason: 1 broker, 2 group, 3 topic, 4 broadcasting, 5
        /// subscription (`ForbiddenType`).
        forbidden_type: Option<i32> = "forbiddenType",
    }
}
