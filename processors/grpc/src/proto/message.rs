//! A message with its properties.

use std::collections::HashMap;

use bytes::Bytes;

use super::declare::{enumeration, message};
use super::{Duration, Resource, Timestamp};

enumeration! {
    /// What is special about a message, and which messages a topic takes.
    pub enum MessageType {
        /// Unknown.
        Unspecified = 0 "MESSAGE_TYPE_UNSPECIFIED",
        /// Nothing.
        Normal = 1 "NORMAL",
        /// Consumed in order with others of its message group.
        Fifo = 2 "FIFO",
        /// Delivered at a time.
        Delay = 3 "DELAY",
        /// Delivered when its transaction was committed.
        Transaction = 4 "TRANSACTION",
        /// Of a lite topic; from 5.5 on.
        Lite = 5 "LITE",
        /// With a priority; from 5.5 on.
        Priority = 6 "PRIORITY",
    }
}

enumeration! {
    /// How a digest was computed. All clients check MD5 alike, in upper-case hexadecimal digits. Of
    /// CRC32, Java and Go expect hexadecimal digits without leading zeros, Python with them, Node
    /// decimal ones.
    pub enum DigestType {
        /// Unknown.
        Unspecified = 0 "DIGEST_TYPE_UNSPECIFIED",
        /// CRC-32.
        Crc32 = 1 "CRC32",
        /// MD5.
        Md5 = 2 "MD5",
        /// SHA-1.
        Sha1 = 3 "SHA1",
    }
}

message! {
    /// What a body can be checked by, as it is sent: compressed, if it is.
    pub struct Digest {
        /// How it was computed.
        r#type: i32 = enumeration<DigestType>(1),
        /// The digest as text.
        checksum: String = string(2),
    }
}

enumeration! {
    /// Whether a body is compressed.
    pub enum Encoding {
        /// Unknown: not compressed.
        Unspecified = 0 "ENCODING_UNSPECIFIED",
        /// Not compressed.
        Identity = 1 "IDENTITY",
        /// Compressed. With what, clients see by the body's first bytes, whatever the
        /// name of this value.
        Gzip = 2 "GZIP",
    }
}

message! {
    /// What client and broker note of a message.
    pub struct SystemProperties {
        /// The tag by which consumers filter.
        tag: Option<String> = string(1, optional),
        /// Keys by which it can be searched.
        keys: Vec<String> = string(2, repeated),
        /// Its id, given by the producer.
        message_id: String = string(3),
        /// The body's digest.
        body_digest: Option<Digest> = message(4, optional),
        /// Whether the body is compressed.
        body_encoding: i32 = enumeration<Encoding>(5),
        /// What is special about it.
        message_type: i32 = enumeration<MessageType>(6),
        /// When it was made, by the producer's clock.
        born_timestamp: Option<Timestamp> = message(7, optional),
        /// Where it was made: a name or an address.
        born_host: String = string(8),
        /// When its broker has stored it, by the broker's clock.
        store_timestamp: Option<Timestamp> = message(9, optional),
        /// Which broker has stored it: `address:port`.
        store_host: String = string(10),
        /// When it is delivered at the earliest.
        delivery_timestamp: Option<Timestamp> = message(11, optional),
        /// What it is acknowledged with.
        receipt_handle: Option<String> = string(12, optional),
        /// Its queue's number.
        queue_id: i32 = int32(13),
        /// Its place in the queue.
        queue_offset: Option<i64> = int64(14, optional),
        /// For how long no other member of the group gets it.
        invisible_duration: Option<Duration> = message(15, optional),
        /// How often it was delivered, this time included.
        delivery_attempt: Option<i32> = int32(16, optional),
        /// Messages of one group are consumed in order.
        message_group: Option<String> = string(17, optional),
        /// The trace that it belongs to, as the producer writes it.
        trace_context: Option<String> = string(18, optional),
        /// For how long the broker does not ask what becomes of it, if it is transactional.
        orphaned_transaction_recovery_duration: Option<Duration> = message(19, optional),
        /// What it was before it became a dead letter.
        dead_letter_queue: Option<DeadLetterQueue> = message(20, optional),
        /// Its lite topic.
        lite_topic: Option<String> = string(21, optional),
        /// Its priority.
        priority: Option<i32> = int32(22, optional),
    }
}

message! {
    /// What a dead letter was before.
    pub struct DeadLetterQueue {
        /// The topic that it was sent to.
        topic: String = string(1),
        /// Its id there.
        message_id: String = string(2),
    }
}

message! {
    /// A message, sent or received.
    pub struct Message {
        /// The topic.
        topic: Option<Resource> = message(1, optional),
        /// Properties of the application's own.
        user_properties: HashMap<String, String> = map<string, string>(2),
        /// All others.
        system_properties: Option<SystemProperties> = message(3, optional),
        /// The body: a slice of what was read, not a copy.
        body: Bytes = bytes["bytes"](4),
    }
}
