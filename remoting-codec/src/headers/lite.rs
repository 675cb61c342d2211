//! Lite topics, from 5.5 on: POP_LITE_MESSAGE (200070) and NOTIFY_UNSUBSCRIBE_LITE (200073). The
//! subscriptions themselves are a body
//! ([`LiteSubscription`](crate::body::LiteSubscription)).

use super::{Text, header};

header! {
    /// Asks for messages of the lite topics that a client has subscribed to: POP_LITE_MESSAGE
    /// (`PopLiteMessageRequestHeader`).
    pub struct PopLiteMessageRequest<'a> {
        /// The broker that the request is for.
        broker: Option<Text<'a>> = "bname",
        /// The client: the broker keeps subscriptions by it.
        client_id: Text<'a> = "clientId",
        /// The consumer's group.
        group: Text<'a> = "consumerGroup",
        /// The topic that the lite topics are below.
        topic: Text<'a> = "topic",
        /// The greatest number of messages to return, 32 at most.
        max_msg_num: i32 = "maxMsgNum",
        /// For how many milliseconds no message of the same lite topic is handed out after these,
        /// unless they are acknowledged.
        invisible_time: i64 = "invisibleTime",
        /// For how many milliseconds the broker may wait for messages.
        poll_time: i64 = "pollTime",
        /// When the request was made: milliseconds since 1970. If it is 0, the broker uses the time
        /// at which it received the request.
        born_time: i64 = "bornTime",
        /// A request with the same id returns the same messages again.
        attempt_id: Option<Text<'a>> = "attemptId",
    }
}

header! {
    /// The answer to POP_LITE_MESSAGE (`PopLiteMessageResponseHeader`). Its messages are of several
    /// lite topics, so each carries its own place
    /// ([`Receipt::of_lite`](crate::message::Receipt::of_lite)).
    pub struct PopLiteMessageResponse<'a> {
        /// When the messages were popped: milliseconds since 1970, by the broker's clock.
        pop_time: i64 = "popTime",
        /// For how many milliseconds the messages are invisible to other members.
        invisible_time: i64 = "invisibleTime",
        /// 999, as of an orderly POP.
        revive_queue: i32 = "reviveQid",
        /// How often consumption of messages has failed, separated by `;`: it counts only if there
        /// is an entry for each message.
        order_count_info: Option<Text<'a>> = "orderCountInfo",
    }
}

header! {
    /// A broker has ended a client's subscription to a lite topic: NOTIFY_UNSUBSCRIBE_LITE
    /// (`NotifyUnsubscribeLiteRequestHeader`). It wants no answer.
    pub struct NotifyUnsubscribeLiteRequest<'a> {
        /// The lite topic.
        lite_topic: Text<'a> = "liteTopic",
        /// The consumer's group.
        group: Text<'a> = "consumerGroup",
        /// The client.
        client_id: Text<'a> = "clientId",
    }
}
