//! Messages as brokers store and hand them out, and the texts that describe them.
//!
//! - [`StoredMessage`]: one message of the body of an answer to PULL_MESSAGE, POP_MESSAGE,
//!   QUERY_MESSAGE or VIEW_MESSAGE_BY_ID, and of the body of CHECK_TRANSACTION_STATE.
//!   [`StoredMessages`] walks such a body.
//! - [`BatchMessage`]: one message of the body of SEND_BATCH_MESSAGE, and of an inner batch.
//! - [`Properties`], [`PropertiesBuf`] and the names in [`property`].
//! - [`SysFlag`]: a message's properties that brokers need, in bits.
//! - [`OffsetMessageId`], [`UniqueId`]: the two ids that a message has.
//! - [`Receipt`], [`PopOffsets`]: by which a consumer acknowledges a popped message.
//!
//! Nothing here compresses, decompresses or reads a clock. Integers are big-endian; times are in
//! milliseconds since 1970 unless documented otherwise.

mod batch;
mod hex;
mod id;
mod pop_offsets;
mod properties;
pub mod property;
mod reader;
mod receipt;
mod stored;
mod sys_flag;
mod topic_mark;

pub use batch::{BatchMessage, BatchMessages};
pub use id::{OffsetMessageId, UniqueId};
pub use pop_offsets::{MessageOffsets, OrderCount, PopOffsets, StartOffset};
pub use properties::{MAX_PROPERTIES, Properties, PropertiesBuf};
pub use receipt::{ORDERLY_REVIVE_QUEUE, Receipt};
pub use stored::{StoredMessage, StoredMessages, StoredVersion};
pub use sys_flag::{Compression, SysFlag, TransactionType};
pub use topic_mark::{DLQ_PREFIX, RETRY_PREFIX, TopicMark, is_group_topic};
