//! POP_MESSAGE (200050) and its kin: ACK_MESSAGE (200051), PEEK_MESSAGE (200052),
//! CHANGE_MESSAGE_INVISIBLETIME (200053), NOTIFICATION (200054) and POLLING_INFO (200055).
//!
//! A binary header has no room for these codes: they are sent in JSON.

use super::{Text, header};

header! {
    /// Asks for any messages that nobody else of the group has: POP_MESSAGE
    /// (`PopMessageRequestHeader`).
    pub struct PopMessageRequest<'a> {
        /// The broker that the request is for.
        broker: Option<Text<'a>> = "bname",
        /// The consumer's group.
        group: Text<'a> = "consumerGroup",
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker; -1 for any.
        queue_id: i32 = "queueId",
        /// How many messages are wanted at most: 32 at most.
        max_msg_nums: i32 = "maxMsgNums",
        /// For how many milliseconds nobody else gets them.
        invisible_time: i64 = "invisibleTime",
        /// For how many milliseconds the broker may wait for messages.
        poll_time: i64 = "pollTime",
        /// When the request was made: milliseconds since 1970. The broker answers POLLING_TIMEOUT
        /// (210) at once if by its own clock the wait would be over; absent or 0, its own clock
        /// counts.
        born_time: Option<i64> = "bornTime",
        /// Where a new group begins: 0 with the queue's first message, 1 with its next.
        init_mode: i32 = "initMode",
        /// `TAG` or `SQL92`.
        expression_type: Option<Text<'a>> = "expType",
        /// The filter: tags or SQL.
        expression: Option<Text<'a>> = "exp",
        /// Whether a queue's messages are handed out in order, and none before those that are out
        /// are acknowledged.
        order: Option<bool> = "order",
        /// With `order`: who asks with the same id again gets the same messages again.
        attempt_id: Option<Text<'a>> = "attemptId",
    }
}

header! {
    /// The answer to POP_MESSAGE and PEEK_MESSAGE (`PopMessageResponseHeader`).
    pub struct PopMessageResponse<'a> {
        /// When the messages were popped: milliseconds since 1970, by the broker's clock.
        pop_time: i64 = "popTime",
        /// For how many milliseconds nobody else gets them.
        invisible_time: i64 = "invisibleTime",
        /// Which queue of the broker's own keeps the checkpoint; 999 with `order`.
        revive_queue: i32 = "reviveQid",
        /// How many messages are left for the group.
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
    /// Says that a message was consumed: ACK_MESSAGE (`AckMessageRequestHeader`). The answer has no
    /// fields.
    pub struct AckMessageRequest<'a> {
        /// The broker that the message was popped from.
        broker: Option<Text<'a>> = "bname",
        /// The consumer's group.
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
    /// Sets anew for how long a message is invisible: CHANGE_MESSAGE_INVISIBLETIME
    /// (`ChangeInvisibleTimeRequestHeader`).
    pub struct ChangeInvisibleTimeRequest<'a> {
        /// The broker that the message was popped from.
        broker: Option<Text<'a>> = "bname",
        /// The consumer's group.
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
        /// For how many milliseconds from now on nobody else gets it.
        invisible_time: i64 = "invisibleTime",
        /// 5.5: whether the message does not count as consumed in vain when it comes again.
        suspend: Option<bool> = "suspend",
        /// 5.5: the lite topic that it is about, if the topic has some.
        lite_topic: Option<Text<'a>> = "liteTopic",
    }
}

header! {
    /// The answer to CHANGE_MESSAGE_INVISIBLETIME (`ChangeInvisibleTimeResponseHeader`). The
    /// message's new receipt has these three in it, and begins with the message's own queue offset.
    pub struct ChangeInvisibleTimeResponse {
        /// When the time begins: milliseconds since 1970, by the broker's clock. 0 when nothing was
        /// changed.
        pop_time: i64 = "popTime",
        /// The time in milliseconds.
        invisible_time: i64 = "invisibleTime",
        /// Which queue of the broker's own keeps the checkpoint.
        revive_queue: i32 = "reviveQid",
    }
}

header! {
    /// Asks to be told of messages: NOTIFICATION (`NotificationRequestHeader`).
    pub struct NotificationRequest<'a> {
        /// The broker that the request is for.
        broker: Option<Text<'a>> = "bname",
        /// The consumer's group.
        group: Text<'a> = "consumerGroup",
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker; -1 for any.
        queue_id: i32 = "queueId",
        /// For how many milliseconds the broker may wait for messages.
        poll_time: i64 = "pollTime",
        /// When the request was made: milliseconds since 1970; absent or 0, the broker's own clock
        /// counts.
        born_time: Option<i64> = "bornTime",
        /// Whether messages are wanted in order.
        order: Option<bool> = "order",
        /// With `order`: who asks.
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
        /// Whether there are messages.
        has_msg: bool = "hasMsg",
        /// Whether too many wait already, and the broker has not waited for that reason.
        polling_full: Option<bool> = "pollingFull",
    }
}

header! {
    /// Looks at messages and leaves them: PEEK_MESSAGE (`PeekMessageRequestHeader`). The answer is
    /// a [`PopMessageResponse`].
    pub struct PeekMessageRequest<'a> {
        /// The broker that the request is for.
        broker: Option<Text<'a>> = "bname",
        /// The consumer's group.
        group: Text<'a> = "consumerGroup",
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker; -1 for any.
        queue_id: i32 = "queueId",
        /// How many messages are wanted at most.
        max_msg_nums: i32 = "maxMsgNums",
    }
}

header! {
    /// Asks how many of a group wait for messages of a topic: POLLING_INFO
    /// (`PollingInfoRequestHeader`).
    pub struct PollingInfoRequest<'a> {
        /// The broker that the request is for.
        broker: Option<Text<'a>> = "bname",
        /// The consumer's group.
        group: Text<'a> = "consumerGroup",
        /// The topic.
        topic: Text<'a> = "topic",
        /// The queue's number at its broker.
        queue_id: i32 = "queueId",
    }
}

header! {
    /// The answer to POLLING_INFO (`PollingInfoResponseHeader`).
    pub struct PollingInfoResponse {
        /// How many wait.
        polling_num: i32 = "pollingNum",
    }
}
