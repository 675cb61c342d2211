//! Offsets: QUERY_CONSUMER_OFFSET (14), UPDATE_CONSUMER_OFFSET (15), SEARCH_OFFSET_BY_TIMESTAMP
//! (29), GET_MAX_OFFSET (30), GET_MIN_OFFSET (31) and GET_EARLIEST_MSG_STORETIME (32).

use super::{Text, header};

header! {
    /// Asks for the offset up to which a group has consumed a queue: QUERY_CONSUMER_OFFSET
    /// (`QueryConsumerOffsetRequestHeader`). The answer is an [`OffsetResponse`], or
    /// QUERY_NOT_FOUND (22) when the broker has no offset.
    pub struct QueryConsumerOffsetRequest<'a> {
        /// Name of the broker that has the queue. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The group whose offset is returned.
        group: Text<'a> = "consumerGroup",
        /// The queue's topic, which may be the group's retry topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
        /// `false`: for a group without an offset the broker does not answer 0, although a new
        /// group would start with the queue's first message.
        set_zero_if_not_found: Option<bool> = "setZeroIfNotFound",
    }
}

header! {
    /// Stores the offset up to which a group has consumed a queue: UPDATE_CONSUMER_OFFSET
    /// (`UpdateConsumerOffsetRequestHeader`), mostly one-way. The answer has no fields.
    pub struct UpdateConsumerOffsetRequest<'a> {
        /// Name of the broker that has the queue. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The group whose offset is stored.
        group: Text<'a> = "consumerGroup",
        /// The queue's topic, which may be the group's retry topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
        /// The offset of the first message that is not consumed.
        commit_offset: i64 = "commitOffset",
    }
}

header! {
    /// Asks for the first message that was stored from a time on: SEARCH_OFFSET_BY_TIMESTAMP
    /// (`SearchOffsetRequestHeader`). The answer is an [`OffsetResponse`].
    pub struct SearchOffsetRequest<'a> {
        /// Name of the broker that has the queue. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The queue's topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
        /// The time: milliseconds since 1970.
        timestamp: i64 = "timestamp",
        /// Which of several messages of the same time: `UPPER` for the last, anything else for the
        /// first.
        boundary_type: Option<Text<'a>> = "boundaryType",
        /// 5.5: the lite topic, if the topic has lite topics.
        lite_topic: Option<Text<'a>> = "liteTopic",
    }
}

header! {
    /// Asks for the offset of a queue's next message: GET_MAX_OFFSET (`GetMaxOffsetRequestHeader`).
    /// The answer is an [`OffsetResponse`].
    pub struct GetMaxOffsetRequest<'a> {
        /// Name of the broker that has the queue. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The queue's topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
        /// `false`: messages that consumers do not see yet count too. Absent means `true`.
        committed: Option<bool> = "committed",
    }
}

header! {
    /// Asks about a queue's first message: GET_MIN_OFFSET (`GetMinOffsetRequestHeader`), answered
    /// by an [`OffsetResponse`], and GET_EARLIEST_MSG_STORETIME
    /// (`GetEarliestMsgStoretimeRequestHeader`).
    pub struct QueueRequest<'a> {
        /// Name of the broker that has the queue. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The queue's topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
    }
}

header! {
    /// The answer to the five that ask for an offset (`QueryConsumerOffsetResponseHeader`,
    /// `SearchOffsetResponseHeader`, `GetMaxOffsetResponseHeader`, `GetMinOffsetResponseHeader`).
    pub struct OffsetResponse {
        /// A place in the queue: which one, the request determines.
        offset: i64 = "offset",
    }
}

header! {
    /// The answer to GET_EARLIEST_MSG_STORETIME (`GetEarliestMsgStoretimeResponseHeader`).
    pub struct GetEarliestMsgStoretimeResponse {
        /// When the queue's first message was stored: milliseconds since 1970; -1 when it has none.
        timestamp: i64 = "timestamp",
    }
}
