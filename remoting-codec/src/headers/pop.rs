//! POP_MESSAGE (200050) and related requests: ACK_MESSAGE (200051), PEEK_MESSAGE (200052),
//! CHANGE_MESSAGE_INVISIBLETIME (200053), NOTIFICATION (200054) and POLLING_INFO (200055).
//!
//! A binary header has too few bits for these codes: they are sent in JSON.

use super::{Text, header};

header! {
    /// Asks for messages that no other member of the group holds: POP_MESSAGE
    /// (`PopMessageRequestHeader`).
    pub struct PopMessageRequest<'a> {
        /// Name of the broker to pop from. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The group that the messages are popped for.
        group: Text<'a> = "consumerGroup",
        /// The topic. The broker also returns messages of the group's retry topics for it.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker; -1 for any.
        queue_id: i32 = "queueId",
        /// The greatest number of messages to return, 32 at most.
        max_msg_nums: i32 = "maxMsgNums",
        /// For how many milliseconds the messages are invisible to other members.
        invisible_time: i64 = "invisibleTime",
        /// For how many milliseconds the broker may wait for messages.
        poll_time: i64 = "pollTime",
        /// When the request was made: milliseconds since 1970. The broker answers POLLING_TIMEOUT
        /// (210) without waiting if the wait is over by its own clock. If absent or 0, the broker
        /// uses the time at which it received the request.
        born_time: Option<i64> = "bornTime",
        /// Where a new group starts: 0 with the queue's first message, 1 with its next.
        init_mode: i32 = "initMode",
        /// `TAG` or `SQL92`.
        expression_type: Option<Text<'a>> = "expType",
        /// The filter: tags or SQL.
        expression: Option<Text<'a>> = "exp",
        /// Whether a queue's messages are handed out in order, and the next only after the previous
        /// ones are acknowledged.
        order: Option<bool> = "order",
        /// With `order`: a request with the same id returns the same messages again.
        attempt_id: Option<Text<'a>> = "attemptId",
    }
}

header! {
    /// The answer to POP_MESSAGE and PEEK_MESSAGE (`PopMessageResponseHeader`).
    pub struct PopMessageResponse<'a> {
        /// When the messages were popped: milliseconds since 1970, by the broker's clock.
        pop_time: i64 = "popTime",
        /// For how many milliseconds the messages are invisible to other members.
        invisible_time: i64 = "invisibleTime",
        /// The broker's revive queue that keeps the checkpoint; 999 with `order`.
        revive_queue: i32 = "reviveQid",
        /// How many messages the group has not consumed yet.
        rest_num: i64 = "restNum",
        /// [`PopOffsets::starts`](crate::message::PopOffsets).
        start_offset_info: Option<Text<'a>> = "startOffsetInfo",
        /// [`PopOffsets::messages`](crate::message::PopOffsets).
        msg_offset_info: Option<Text<'a>> = "msgOffsetInfo",
        /// [`PopOffsets::counts`](crate::message::PopOffsets).
        order_count_info: Option<Text<'a>> = "orderCountInfo",
    }
}

header! {
    /// Acknowledges that a message was consumed: ACK_MESSAGE (`AckMessageRequestHeader`). The
    /// answer has no fields.
    pub struct AckMessageRequest<'a> {
        /// The broker that the message was popped from.
        broker: Option<Text<'a>> = "bname",
        /// The group that the message was popped for.
        group: Text<'a> = "consumerGroup",
        /// The topic that the message is stored in
        /// ([`TopicMark::stored_topic`](crate::message::TopicMark::stored_topic)).
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
        /// The message's [`Receipt`](crate::message::Receipt).
        extra_info: Text<'a> = "extraInfo",
        /// The message's place in the queue.
        offset: i64 = "offset",
        /// 5.5: the lite topic that it is about, if the topic has some.
        lite_topic: Option<Text<'a>> = "liteTopic",
    }
}

header! {
    /// Sets again for how long a message is invisible: CHANGE_MESSAGE_INVISIBLETIME
    /// (`ChangeInvisibleTimeRequestHeader`).
    pub struct ChangeInvisibleTimeRequest<'a> {
        /// The broker that the message was popped from.
        broker: Option<Text<'a>> = "bname",
        /// The group that the message was popped for.
        group: Text<'a> = "consumerGroup",
        /// The topic that the message is stored in
        /// ([`TopicMark::stored_topic`](crate::message::TopicMark::stored_topic)).
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
        /// The message's [`Receipt`](crate::message::Receipt).
        extra_info: Text<'a> = "extraInfo",
        /// The message's place in the queue.
        offset: i64 = "offset",
        /// For how many milliseconds from now on the message is invisible to other members.
        invisible_time: i64 = "invisibleTime",
        /// 5.5: whether the next delivery of the message does not count as a retry.
        suspend: Option<bool> = "suspend",
        /// 5.5: the lite topic that it is about, if the topic has some.
        lite_topic: Option<Text<'a>> = "liteTopic",
    }
}

header! {
    /// The answer to CHANGE_MESSAGE_INVISIBLETIME (`ChangeInvisibleTimeResponseHeader`). The
    /// message's new receipt consists of the message's own queue offset and these three values.
    pub struct ChangeInvisibleTimeResponse {
        /// The start of the invisible time: milliseconds since 1970, by the broker's clock. 0 when
        /// nothing was changed.
        pop_time: i64 = "popTime",
        /// The invisible time in milliseconds.
        invisible_time: i64 = "invisibleTime",
        /// The broker's revive queue that keeps the checkpoint.
        revive_queue: i32 = "reviveQid",
    }
}

header! {
    /// Asks whether there are messages to pop: NOTIFICATION (`NotificationRequestHeader`).
    pub struct NotificationRequest<'a> {
        /// Name of the broker that has the queue. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The group that the messages would be popped for.
        group: Text<'a> = "consumerGroup",
        /// The topic. The broker also looks into the group's retry topics for it.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker; -1 for any.
        queue_id: i32 = "queueId",
        /// For how many milliseconds the broker may wait for messages.
        poll_time: i64 = "pollTime",
        /// When the request was made: milliseconds since 1970. If absent or 0, the broker uses the
        /// time at which it received the request.
        born_time: Option<i64> = "bornTime",
        /// Whether the messages must be in order.
        order: Option<bool> = "order",
        /// With `order`: identifies the request.
        attempt_id: Option<Text<'a>> = "attemptId",
        /// 5.x: `TAG` or `SQL92`.
        expression_type: Option<Text<'a>> = "expType",
        /// 5.x: the filter, tags or SQL.
        expression: Option<Text<'a>> = "exp",
    }
}

header! {
    /// The answer to NOTIFICATION (`NotificationResponseHeader`).
    pub struct NotificationResponse {
        /// Whether there are messages to pop. Also `false` when the wait has ended without any.
        has_msg: bool = "hasMsg",
        /// Whether the broker did not wait because it holds too many requests already.
        polling_full: Option<bool> = "pollingFull",
    }
}

header! {
    /// Reads messages without popping them: PEEK_MESSAGE (`PeekMessageRequestHeader`). The answer
    /// is a [`PopMessageResponse`].
    pub struct PeekMessageRequest<'a> {
        /// Name of the broker that has the queue. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The group that the messages would be popped for.
        group: Text<'a> = "consumerGroup",
        /// The topic. The broker also returns messages of the group's retry topics for it.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker; -1 for any.
        queue_id: i32 = "queueId",
        /// The greatest number of messages to return.
        max_msg_nums: i32 = "maxMsgNums",
    }
}

header! {
    /// Asks how many of a group wait for messages of a topic: POLLING_INFO
    /// (`PollingInfoRequestHeader`).
    pub struct PollingInfoRequest<'a> {
        /// Name of the broker that has the queue. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The group of the waiting requests.
        group: Text<'a> = "consumerGroup",
        /// The topic of the waiting requests.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
    }
}

header! {
    /// The answer to POLLING_INFO (`PollingInfoResponseHeader`).
    pub struct PollingInfoResponse {
        /// How many requests wait at the broker.
        polling_num: i32 = "pollingNum",
    }
}
