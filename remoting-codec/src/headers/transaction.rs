//! END_TRANSACTION (37) and CHECK_TRANSACTION_STATE (39).

use super::{Text, header};

header! {
    /// Commits or rolls back a half message: END_TRANSACTION (`EndTransactionRequestHeader`),
    /// one-way from Java. The answer has no fields; an unknown outcome is not answered.
    pub struct EndTransactionRequest<'a> {
        /// The broker that has stored the half message.
        broker: Option<Text<'a>> = "bname",
        /// The topic; from 5.3 on. After a check it is that of all half messages.
        topic: Option<Text<'a>> = "topic",
        /// The producer's group, which must be that of the half message.
        producer_group: Text<'a> = "producerGroup",
        /// The half message's place in its queue: `queueOffset` of the answer to the send.
        tran_state_table_offset: i64 = "tranStateTableOffset",
        /// Its place in the commit log: that in `msgId` of the answer to the send.
        commit_log_offset: i64 = "commitLogOffset",
        /// [`TransactionType::bits`](crate::message::TransactionType::bits) of the outcome; 0 when
        /// it is not known.
        commit_or_rollback: i32 = "commitOrRollback",
        /// Whether a check by the broker was the cause. If absent or `false`, the producer has
        /// ended its transaction unasked.
        from_transaction_check: Option<bool> = "fromTransactionCheck",
        /// The message's unique id. Declared as required, but brokers do not read it.
        msg_id: Option<Text<'a>> = "msgId",
        /// `transactionId` of the answer to the send, unchanged.
        transaction_id: Option<Text<'a>> = "transactionId",
    }
}

header! {
    /// A broker asks a producer for the outcome of a half message: CHECK_TRANSACTION_STATE
    /// (`CheckTransactionStateRequestHeader`), one-way, with [the
    /// message](crate::message::StoredMessage) in the body. The producer responds by an
    /// [`EndTransactionRequest`] with the same offsets.
    pub struct CheckTransactionStateRequest<'a> {
        /// Name of the broker that has stored the half message, and needs the outcome.
        broker: Option<Text<'a>> = "bname",
        /// The topic of all half messages.
        topic: Option<Text<'a>> = "topic",
        /// The half message's place in its queue. Each check stores the half message again, so the
        /// place changes.
        tran_state_table_offset: i64 = "tranStateTableOffset",
        /// Its place in the commit log.
        commit_log_offset: i64 = "commitLogOffset",
        /// The message's unique id.
        msg_id: Option<Text<'a>> = "msgId",
        /// The message's unique id, as brokers send it.
        transaction_id: Option<Text<'a>> = "transactionId",
        /// The half message's [`OffsetMessageId`](crate::message::OffsetMessageId).
        offset_msg_id: Option<Text<'a>> = "offsetMsgId",
    }
}
