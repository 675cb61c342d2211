//! SendMessage, RecallMessage and EndTransaction.

use super::declare::{enumeration, message};
use super::{Message, Resource, Status};

message! {
    /// Messages to be stored.
    pub struct SendMessageRequest {
        /// The messages, all of one topic.
        messages: Vec<Message> = message(1, repeated),
    }
}

message! {
    /// What became of one message of a [`SendMessageRequest`].
    pub struct SendResultEntry {
        /// How it ended.
        status: Option<Status> = message(1, optional),
        /// Its id.
        message_id: String = string(2),
        /// What EndTransaction takes, if it is transactional.
        transaction_id: String = string(3),
        /// Its place in its queue.
        offset: i64 = int64(4),
        /// What RecallMessage takes, if it is delayed.
        recall_handle: String = string(5),
    }
}

message! {
    /// The answer to [`SendMessageRequest`].
    pub struct SendMessageResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
        /// One entry for each message, in their order.
        entries: Vec<SendResultEntry> = message(2, repeated),
    }
}

message! {
    /// Takes back a delayed message.
    pub struct RecallMessageRequest {
        /// Its topic.
        topic: Option<Resource> = message(1, optional),
        /// What the answer to the send has.
        recall_handle: String = string(2),
    }
}

message! {
    /// The answer to [`RecallMessageRequest`].
    pub struct RecallMessageResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
        /// The message's id.
        message_id: String = string(2),
    }
}

enumeration! {
    /// What becomes of a transactional message.
    pub enum TransactionResolution {
        /// Not known yet.
        Unspecified = 0 "TRANSACTION_RESOLUTION_UNSPECIFIED",
        /// It is delivered.
        Commit = 1 "COMMIT",
        /// It is dropped.
        Rollback = 2 "ROLLBACK",
    }
}

enumeration! {
    /// Why a transaction ends.
    pub enum TransactionSource {
        /// Unknown: as by the client.
        Unspecified = 0 "SOURCE_UNSPECIFIED",
        /// The producer was done.
        SourceClient = 1 "SOURCE_CLIENT",
        /// The server has asked.
        SourceServerCheck = 2 "SOURCE_SERVER_CHECK",
    }
}

message! {
    /// Ends the transaction of a message.
    pub struct EndTransactionRequest {
        /// Its topic.
        topic: Option<Resource> = message(1, optional),
        /// Its id.
        message_id: String = string(2),
        /// What the answer to the send, or the server's question, has.
        transaction_id: String = string(3),
        /// What becomes of it.
        resolution: i32 = enumeration<TransactionResolution>(4),
        /// Why it ends.
        source: i32 = enumeration<TransactionSource>(5),
        /// The trace that it belongs to.
        trace_context: String = string(6),
    }
}

message! {
    /// The answer to [`EndTransactionRequest`].
    pub struct EndTransactionResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
    }
}
