//! ReceiveMessage, AckMessage, ChangeInvisibleDuration and ForwardMessageToDeadLetterQueue.

use super::declare::{message, oneof};
use super::{Duration, FilterExpression, Message, MessageQueue, Resource, Status, Timestamp};

message! {
    /// Asks for messages that no other member of the group has.
    pub struct ReceiveMessageRequest {
        /// The consumer's group.
        group: Option<Resource> = message(1, optional),
        /// From which queue: its broker and topic count, and its number in a group that consumes in
        /// order.
        message_queue: Option<MessageQueue> = message(2, optional),
        /// Which messages.
        filter_expression: Option<FilterExpression> = message(3, optional),
        /// How many at most.
        batch_size: i32 = int32(4),
        /// For how long no other member gets them. Python's push consumer leaves it out.
        invisible_duration: Option<Duration> = message(5, optional),
        /// Whether the server keeps them invisible until they are acknowledged.
        auto_renew: bool = bool(6),
        /// How long to wait for messages.
        long_polling_timeout: Option<Duration> = message(7, optional),
        /// In order: a call that is repeated with the same id gets the same messages.
        attempt_id: Option<String> = string(8, optional),
    }
}

message! {
    /// One part of the answer: first a status, then messages, then the time.
    pub struct ReceiveMessageResponse {
    } oneof {
        /// The part.
        content: ReceiveContent = "ReceiveContent"("1, 2, 3"),
    }
}

oneof! {
    /// A part of the answer to ReceiveMessage.
    #[expect(clippy::large_enum_variant, reason = "messages are most of them")]
    pub enum ReceiveContent {
        /// Whether there are messages.
        Status(Status) = status: message(1),
        /// A message.
        Message(Message) = message: message(2),
        /// When the server started to send them.
        DeliveryTimestamp(Timestamp) = delivery_timestamp: message(3),
    }
}

message! {
    /// A message that was consumed.
    pub struct AckMessageEntry {
        /// Its id.
        message_id: String = string(1),
        /// Its receipt handle.
        receipt_handle: String = string(2),
        /// Its lite topic.
        lite_topic: Option<String> = string(3, optional),
    }
}

message! {
    /// Acknowledges messages that were consumed.
    pub struct AckMessageRequest {
        /// The consumer's group.
        group: Option<Resource> = message(1, optional),
        /// Their topic.
        topic: Option<Resource> = message(2, optional),
        /// The messages.
        entries: Vec<AckMessageEntry> = message(3, repeated),
    }
}

message! {
    /// What became of one message of an [`AckMessageRequest`].
    pub struct AckMessageResultEntry {
        /// Its id.
        message_id: String = string(1),
        /// Its receipt handle.
        receipt_handle: String = string(2),
        /// How it ended.
        status: Option<Status> = message(3, optional),
    }
}

message! {
    /// The answer to [`AckMessageRequest`].
    pub struct AckMessageResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
        /// One entry for each message, in their order.
        entries: Vec<AckMessageResultEntry> = message(2, repeated),
    }
}

message! {
    /// Makes a message a dead letter.
    pub struct ForwardMessageToDeadLetterQueueRequest {
        /// The consumer's group.
        group: Option<Resource> = message(1, optional),
        /// The message's topic.
        topic: Option<Resource> = message(2, optional),
        /// Its receipt handle.
        receipt_handle: String = string(3),
        /// Its id.
        message_id: String = string(4),
        /// How often it was delivered.
        delivery_attempt: i32 = int32(5),
        /// How often it may be.
        max_delivery_attempts: i32 = int32(6),
        /// Its lite topic.
        lite_topic: Option<String> = string(7, optional),
    }
}

message! {
    /// The answer to [`ForwardMessageToDeadLetterQueueRequest`].
    pub struct ForwardMessageToDeadLetterQueueResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
    }
}

message! {
    /// Sets for how long from now on a message is invisible.
    pub struct ChangeInvisibleDurationRequest {
        /// The consumer's group.
        group: Option<Resource> = message(1, optional),
        /// The message's topic.
        topic: Option<Resource> = message(2, optional),
        /// Its receipt handle, which is void afterwards.
        receipt_handle: String = string(3),
        /// For how long.
        invisible_duration: Option<Duration> = message(4, optional),
        /// Its id.
        message_id: String = string(5),
        /// Its lite topic.
        lite_topic: Option<String> = string(6, optional),
        /// Whether the next delivery does not count as an attempt.
        suspend: Option<bool> = bool(7, optional),
    }
}

message! {
    /// The answer to [`ChangeInvisibleDurationRequest`].
    pub struct ChangeInvisibleDurationResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
        /// Its new receipt handle.
        receipt_handle: String = string(2),
    }
}
