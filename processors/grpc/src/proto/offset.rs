//! PullMessage, UpdateOffset, GetOffset and QueryOffset.

use super::declare::{enumeration, message, oneof};
use super::{Duration, FilterExpression, Message, MessageQueue, Resource, Status, Timestamp};

message! {
    /// Asks for the messages of a queue from an offset on.
    pub struct PullMessageRequest {
        /// The consumer's group.
        group: Option<Resource> = message(1, optional),
        /// The queue.
        message_queue: Option<MessageQueue> = message(2, optional),
        /// The first offset that is wanted.
        offset: i64 = int64(3),
        /// How many at most.
        batch_size: i32 = int32(4),
        /// Which messages.
        filter_expression: Option<FilterExpression> = message(5, optional),
        /// How long to wait for messages.
        long_polling_timeout: Option<Duration> = message(6, optional),
    }
}

message! {
    /// One part of the answer: a status, messages, the next offset.
    pub struct PullMessageResponse {
    } oneof {
        /// The part.
        content: PullContent = "PullContent"("1, 2, 3"),
    }
}

oneof! {
    /// A part of the answer to PullMessage.
    #[expect(clippy::large_enum_variant, reason = "messages are most of them")]
    pub enum PullContent {
        /// Whether there are messages.
        Status(Status) = status: message(1),
        /// A message.
        Message(Message) = message: message(2),
        /// The offset for the next pull.
        NextOffset(i64) = next_offset: int64(3),
    }
}

message! {
    /// Sets how far a group has consumed a queue.
    pub struct UpdateOffsetRequest {
        /// The group.
        group: Option<Resource> = message(1, optional),
        /// The queue.
        message_queue: Option<MessageQueue> = message(2, optional),
        /// The first offset that was not consumed.
        offset: i64 = int64(3),
    }
}

message! {
    /// The answer to [`UpdateOffsetRequest`].
    pub struct UpdateOffsetResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
    }
}

message! {
    /// Asks how far a group has consumed a queue.
    pub struct GetOffsetRequest {
        /// The group.
        group: Option<Resource> = message(1, optional),
        /// The queue.
        message_queue: Option<MessageQueue> = message(2, optional),
    }
}

message! {
    /// The answer to [`GetOffsetRequest`].
    pub struct GetOffsetResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
        /// The first offset that was not consumed.
        offset: i64 = int64(2),
    }
}

enumeration! {
    /// Which offset of a queue is asked for.
    pub enum QueryOffsetPolicy {
        /// The first that it still has.
        Beginning = 0 "BEGINNING",
        /// That of its next message.
        End = 1 "END",
        /// The first that was stored at a time or later.
        Timestamp = 2 "TIMESTAMP",
    }
}

message! {
    /// Asks for an offset of a queue.
    pub struct QueryOffsetRequest {
        /// The queue.
        message_queue: Option<MessageQueue> = message(1, optional),
        /// Which offset.
        query_offset_policy: i32 = enumeration<QueryOffsetPolicy>(2),
        /// The time, if it is one of a time.
        timestamp: Option<Timestamp> = message(3, optional),
    }
}

message! {
    /// The answer to [`QueryOffsetRequest`].
    pub struct QueryOffsetResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
        /// The offset.
        offset: i64 = int64(2),
    }
}
