//! Messages as brokers store and hand them out, and what is said of them in text.
//!
//! - [`StoredMessage`]: one message of the body of an answer to PULL_MESSAGE, POP_MESSAGE,
//!   QUERY_MESSAGE or VIEW_MESSAGE_BY_ID, and of the body of CHECK_TRANSACTION_STATE.
//!   [`StoredMessages`] walks such a body.
//! - [`BatchMessage`]: one message of the body of SEND_BATCH_MESSAGE, and of an inner batch.
//! - [`Properties`], [`PropertiesBuf`] and the names in [`property`].
//! - [`SysFlag`]: what the broker needs to know of a message, in bits.
//! - [`OffsetMessageId`], [`UniqueId`]: the two ids that a message has.
//! - [`Receipt`], [`PopOffsets`]: what a consumer acknowledges a popped message with.
//!
//! Nothing here compresses, decompresses or knows the time. Integers are big-endian; times are in
//! milliseconds since 1970 unless said otherwise.

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
pub use topic_mark::{RETRY_PREFIX, TopicMark};
