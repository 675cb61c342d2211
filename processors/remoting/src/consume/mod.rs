//! Requests of consumers: messages, receipts, locks, and the members of the group.

pub(crate) mod assignment;
pub(crate) mod batch_ack;
pub(crate) mod consumer_list;
pub(crate) mod lock_batch;
pub(crate) mod pop;
pub(crate) mod pull;
pub(crate) mod receipt;
pub(crate) mod replica;
