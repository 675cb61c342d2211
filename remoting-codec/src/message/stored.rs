//! The stored form of a message (`MessageDecoder.decode`, written by `MessageExtEncoder` of the
//! store).
//!
//! ```text
//! total i32 | magic u32 | body CRC u32 | queue id i32 | flag i32
//! queue offset i64 | commit log offset i64 | sysFlag i32 | born time i64 | born host
//! store time i64 | store host | reconsume times i32 | prepared transaction offset i64
//! body length i32, body | topic length i8 or i16, topic | properties length i16, properties
//! ```
//!
//! A host is an address of 4 bytes, or of 16 if `sysFlag` has the bit for it, and a port of 32
//! bits.

use std::net::SocketAddr;

use super::reader::{Reader, take_sized, write_host};
use super::{MAX_PROPERTIES, OffsetMessageId, Properties, SysFlag};
use crate::error::MessageError;

/// The version of the stored form, which limits the length of topic names (`MessageVersion`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StoredVersion {
    /// The topic's length has 8 bits: 127 bytes at most. All clients read it.
    V1,
    /// The topic's length has 16 bits: 32,767 bytes at most. Brokers from 5.1.0 on write it for
    /// longer names, and earlier clients drop the rest of an answer from such a message on.
    V2,
}

impl StoredVersion {
    /// The magic number of a message of that version (`MessageDecoder.MESSAGE_MAGIC_CODE`).
    #[must_use]
    pub fn magic(self) -> u32 {
        match self {
            Self::V1 => 0xDAA3_20A7,
            Self::V2 => 0xDAA3_20AB,
        }
    }

    fn of_magic(magic: u32) -> Result<Self, MessageError> {
        [Self::V1, Self::V2]
            .into_iter()
            .find(|version| version.magic() == magic)
            .ok_or(MessageError::Magic(magic))
    }

    fn max_topic(self) -> usize {
        match self {
            Self::V1 => i8::MAX as usize,
            Self::V2 => i16::MAX as usize,
        }
    }
}

/// A message as a broker has stored it, borrowed from a broker's answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoredMessage<'a> {
    /// The version of the form, which determines the length of the topic.
    pub version: StoredVersion,
    /// CRC-32 of the body as it is stored, its highest bit cleared. Clients do not check it.
    pub body_crc: u32,
    /// The queue's number at its broker.
    pub queue_id: i32,
    /// A number of the application's own.
    pub flag: i32,
    /// The message's place in its queue.
    pub queue_offset: i64,
    /// Its place in the broker's commit log, in bytes. For a message that was popped from a retry
    /// topic, it is that of the retry.
    pub commit_log_offset: i64,
    /// Compression, transaction state and other flags.
    pub sys_flag: SysFlag,
    /// When the producer made it, by the producer's clock.
    pub born_time: i64,
    /// The sender's address as the broker saw it: behind a proxy, that of the proxy.
    pub born_host: SocketAddr,
    /// When the broker stored it, by the broker's clock.
    pub store_time: i64,
    /// The address that its broker is configured with (`brokerIP1`), and that message ids contain.
    pub store_host: SocketAddr,
    /// How often consumption of it has failed. The answer to an orderly POP has that in its header
    /// instead ([`PopOffsets::count_of`](super::PopOffsets::count_of)).
    pub reconsume_times: i32,
    /// For a message whose transaction has ended: the place of the half message in the commit log.
    pub prepared_transaction_offset: i64,
    /// The body, compressed if [`sys_flag`](Self::sys_flag) has the bit for it.
    pub body: &'a [u8],
    /// The topic. A retried message has the retry topic, unless POP_MESSAGE has restored the
    /// original one.
    pub topic: &'a str,
    /// The properties that producer, broker and application have set.
    pub properties: Properties<'a>,
}

impl<'a> StoredMessage<'a> {
    /// Reads a message that is all of `bytes`, its length included.
    ///
    /// # Errors
    /// When the bytes are not a message: too short, longer than the parts, with an unknown magic
    /// number, a topic that is not text, or a port over 16 bits.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes);
        let total = reader.int()?;
        if usize::try_from(total) != Ok(bytes.len()) {
            return Err(MessageError::Length(total));
        }
        let version = StoredVersion::of_magic(u32::from_be_bytes(reader.array()?))?;
        let body_crc = u32::from_be_bytes(reader.array()?);
        let queue_id = reader.int()?;
        let flag = reader.int()?;
        let queue_offset = reader.long()?;
        let commit_log_offset = reader.long()?;
        let sys_flag = SysFlag(reader.int()?);
        let born_time = reader.long()?;
        let born_host = reader.host(sys_flag.has(SysFlag::BORN_HOST_V6))?;
        let store_time = reader.long()?;
        let store_host = reader.host(sys_flag.has(SysFlag::STORE_HOST_V6))?;
        let reconsume_times = reader.int()?;
        let prepared_transaction_offset = reader.long()?;
        let body = reader.sized_by_int()?;
        let topic_length = match version {
            StoredVersion::V1 => i16::from(i8::from_be_bytes(reader.array()?)),
            StoredVersion::V2 => i16::from_be_bytes(reader.array()?),
        };
        let topic_length = usize::try_from(topic_length).map_err(|_| MessageError::Truncated)?;
        let topic = std::str::from_utf8(reader.bytes(topic_length)?);
        let topic = topic.map_err(|_| MessageError::TopicNotText)?;
        let properties = Properties::new(reader.sized_by_short()?);
        reader.end()?;
        Ok(Self {
            version,
            body_crc,
            queue_id,
            flag,
            queue_offset,
            commit_log_offset,
            sys_flag,
            born_time,
            born_host,
            store_time,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            body,
            topic,
            properties,
        })
    }

    /// Writes the message. The bits of [`sys_flag`](Self::sys_flag) for the lengths of the hosts
    /// are set by the hosts, whatever they were.
    ///
    /// # Errors
    /// When a part is longer than its length field can hold. Nothing is written then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        let limit = |what, length: usize, limit: usize| match length <= limit {
            true => Ok(()),
            false => Err(MessageError::TooLong { what, limit }),
        };
        let properties = self.properties.as_bytes();
        limit("topic", self.topic.len(), self.version.max_topic())?;
        limit("properties", properties.len(), MAX_PROPERTIES)?;
        // Together with the other parts, it still fits into 31 bits.
        limit("body", self.body.len(), i32::MAX as usize - (1 << 17))?;

        let mut sys_flag = self.sys_flag;
        for (host, bit) in [
            (self.born_host, SysFlag::BORN_HOST_V6),
            (self.store_host, SysFlag::STORE_HOST_V6),
        ] {
            sys_flag = match host {
                SocketAddr::V4(_) => sys_flag.without(bit),
                SocketAddr::V6(_) => sys_flag.with(bit),
            };
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.version.magic().to_be_bytes());
        out.extend_from_slice(&self.body_crc.to_be_bytes());
        out.extend_from_slice(&self.queue_id.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes());
        out.extend_from_slice(&self.queue_offset.to_be_bytes());
        out.extend_from_slice(&self.commit_log_offset.to_be_bytes());
        out.extend_from_slice(&sys_flag.0.to_be_bytes());
        out.extend_from_slice(&self.born_time.to_be_bytes());
        write_host(self.born_host, out);
        out.extend_from_slice(&self.store_time.to_be_bytes());
        write_host(self.store_host, out);
        out.extend_from_slice(&self.reconsume_times.to_be_bytes());
        out.extend_from_slice(&self.prepared_transaction_offset.to_be_bytes());
        out.extend_from_slice(&(self.body.len() as i32).to_be_bytes());
        out.extend_from_slice(self.body);
        match self.version {
            StoredVersion::V1 => out.push(self.topic.len() as u8),
            StoredVersion::V2 => out.extend_from_slice(&(self.topic.len() as i16).to_be_bytes()),
        }
        out.extend_from_slice(self.topic.as_bytes());
        out.extend_from_slice(&(properties.len() as i16).to_be_bytes());
        out.extend_from_slice(properties);
        let total = ((out.len() - start) as i32).to_be_bytes();
        if let Some(place) = out.get_mut(start..start + total.len()) {
            place.copy_from_slice(&total);
        }
        Ok(())
    }

    /// The id by which its broker finds it (`MessageExt.getMsgId` at a broker,
    /// `MessageClientExt.getOffsetMsgId`).
    #[must_use]
    pub fn offset_id(&self) -> OffsetMessageId {
        OffsetMessageId {
            store_host: self.store_host,
            commit_log_offset: self.commit_log_offset,
        }
    }
}

/// The messages of a body, one right after the other.
///
/// Iteration stops after the first that cannot be read, because its end is not certain. Java
/// clients silently drop the rest of such an answer (`MessageDecoder.decodes`).
#[derive(Clone, Debug)]
pub struct StoredMessages<'a> {
    rest: &'a [u8],
}

impl<'a> StoredMessages<'a> {
    /// The messages of an answer's body; an empty body has none.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }
}

impl<'a> Iterator for StoredMessages<'a> {
    type Item = Result<StoredMessage<'a>, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = take_sized(&mut self.rest).and_then(StoredMessage::decode);
        if message.is_err() {
            self.rest = &[];
        }
        Some(message)
    }
}

impl std::iter::FusedIterator for StoredMessages<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `MessageDecoder.encode` of 5.3.3.
    const JAVA: &str = "00000065daa320a758932aac0000000300000000000000000000000400000000\
        00000005000000000000000000000001\
        0a000001000004d200000000000000020a00000200002a9f\
        000000000000000000000000\
        0000000268690154000754414753017802";

    fn bytes() -> Vec<u8> {
        let digits: Vec<u8> = JAVA.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    #[test]
    fn a_message_of_javas_is_read_and_written() {
        let bytes = bytes();
        let message = StoredMessage::decode(&bytes).unwrap();
        assert_eq!(message.queue_id, 3);
        assert_eq!(message.queue_offset, 4);
        assert_eq!(message.born_host, "10.0.0.1:1234".parse().unwrap());
        assert_eq!(message.store_host, "10.0.0.2:10911".parse().unwrap());
        assert_eq!((message.born_time, message.store_time), (1, 2));
        assert_eq!((message.topic, message.body), ("T", &b"hi"[..]));
        assert_eq!(message.properties.get("TAGS").unwrap(), "x");
        assert_eq!(
            message.offset_id().to_string(),
            "0A00000200002A9F0000000000000005"
        );
        let mut written = Vec::new();
        message.encode(&mut written).unwrap();
        assert_eq!(written, bytes);
    }

    #[test]
    fn bytes_that_are_no_message_end_the_iteration() {
        let bytes = bytes();
        let two = bytes.repeat(2);
        assert_eq!(StoredMessages::new(&two).filter(Result::is_ok).count(), 2);
        for end in bytes.len() + 1..two.len() {
            let cut = &two[..end];
            let all: Vec<_> = StoredMessages::new(cut).collect();
            assert!(matches!(all[..], [Ok(_), Err(_)]), "{all:?}");
        }
        let spoilt = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            StoredMessage::decode(&bytes).map(|_| ()).unwrap_err()
        };
        assert_eq!(spoilt(7, 0xA8), MessageError::Magic(0xDAA3_20A8));
        assert_eq!(spoilt(3, 0), MessageError::Length(0));
        // The port, the body's length, the topic's length, a letter of the topic.
        assert_eq!(spoilt(53, 1), MessageError::Port(0x1_04d2));
        assert_eq!(spoilt(87, 0x7f), MessageError::Truncated);
        assert_eq!(spoilt(90, 0xff), MessageError::Truncated);
        assert_eq!(spoilt(91, 0xff), MessageError::TopicNotText);
        assert_eq!(spoilt(93, 6), MessageError::TrailingBytes(1));
    }

    #[test]
    fn long_topics_need_the_second_version() {
        let bytes = bytes();
        let topic = "t".repeat(128);
        let long = StoredMessage {
            topic: &topic,
            born_host: "[2001:db8::1]:1".parse().unwrap(),
            ..StoredMessage::decode(&bytes).unwrap()
        };
        let mut written = Vec::new();
        let limit = 127;
        let what = "topic";
        assert_eq!(
            long.encode(&mut written),
            Err(MessageError::TooLong { what, limit })
        );
        assert!(written.is_empty());
        let long = StoredMessage {
            version: StoredVersion::V2,
            ..long
        };
        long.encode(&mut written).unwrap();
        let sys_flag = SysFlag::BORN_HOST_V6;
        let read = StoredMessage::decode(&written);
        assert_eq!(read, Ok(StoredMessage { sys_flag, ..long }));
    }
}
