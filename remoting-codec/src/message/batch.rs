//! Messages that are sent together (`MessageDecoder.encodeMessages`, `decodeMessages`).
//!
//! ```text
//! total i32 | magic i32: 0 | CRC i32: 0 | flag i32
//! body length i32, body | properties length i16, properties
//! ```
//!
//! Topic, queue, `sysFlag` and born time are those of the request, the same for all. A broker
//! recognizes a batch by the field `batch` of the request's header, not by the code.

use super::reader::{Reader, take_sized};
use super::{MAX_PROPERTIES, Properties};
use crate::error::MessageError;

/// Bytes of a message without its body and properties.
const AROUND: usize = 4 * 5 + 2;

/// One message of the body of SEND_BATCH_MESSAGE, or of an [inner
/// batch](super::SysFlag::is_inner_batch).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchMessage<'a> {
    /// A number of the application's own.
    pub flag: i32,
    /// The body. Java never compresses those of a batch.
    pub body: &'a [u8],
    /// The message's properties: those in the request's header are the batch's.
    pub properties: Properties<'a>,
}

impl<'a> BatchMessage<'a> {
    /// Reads a message that is all of `bytes`, its length included. As in a broker, magic number
    /// and CRC may be anything.
    ///
    /// # Errors
    /// When it is too short, or longer than its parts.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes);
        let total = reader.int()?;
        if usize::try_from(total) != Ok(bytes.len()) {
            return Err(MessageError::Length(total));
        }
        reader.array::<8>()?;
        let message = Self {
            flag: reader.int()?,
            body: reader.sized_by_int()?,
            properties: Properties::new(reader.sized_by_short()?),
        };
        reader.end()?;
        Ok(message)
    }

    /// Appends the message.
    ///
    /// # Errors
    /// When a part is longer than its length field can hold. Nothing is written then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), MessageError> {
        let properties = self.properties.as_bytes();
        let (what, limit) = ("properties", MAX_PROPERTIES);
        if properties.len() > limit {
            return Err(MessageError::TooLong { what, limit });
        }
        let (what, limit) = ("body", i32::MAX as usize - AROUND - MAX_PROPERTIES);
        if self.body.len() > limit {
            return Err(MessageError::TooLong { what, limit });
        }
        let total = AROUND + self.body.len() + properties.len();
        out.reserve(total);
        out.extend_from_slice(&(total as i32).to_be_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.flag.to_be_bytes());
        out.extend_from_slice(&(self.body.len() as i32).to_be_bytes());
        out.extend_from_slice(self.body);
        out.extend_from_slice(&(properties.len() as i16).to_be_bytes());
        out.extend_from_slice(properties);
        Ok(())
    }
}

/// The messages of a batch. Iteration stops after the first that cannot be read; a broker refuses
/// such a batch as a whole.
#[derive(Clone, Debug)]
pub struct BatchMessages<'a> {
    rest: &'a [u8],
}

impl<'a> BatchMessages<'a> {
    /// The messages of a batch's body; an empty body has none.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }
}

impl<'a> Iterator for BatchMessages<'a> {
    type Item = Result<BatchMessage<'a>, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = take_sized(&mut self.rest).and_then(BatchMessage::decode);
        if message.is_err() {
            self.rest = &[];
        }
        Some(message)
    }
}

impl std::iter::FusedIterator for BatchMessages<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_javas_is_read_and_written() {
        // Written by `MessageDecoder.encodeMessages` of 5.3.3.
        let java = b"\0\0\0\x32\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02hi\
            \0\x1aKEYS\x01k\x02WAIT\x01true\x02TAGS\x01tag\x02";
        let two = java.repeat(2);
        let messages: Result<Vec<_>, _> = BatchMessages::new(&two).collect();
        let messages = messages.unwrap();
        let [first, second] = messages[..] else {
            panic!("{messages:?}");
        };
        assert_eq!(first, second);
        assert_eq!((first.flag, first.body), (0, &b"hi"[..]));
        assert_eq!(first.properties.get("WAIT").unwrap(), "true");
        let mut written = Vec::new();
        for message in messages {
            message.encode(&mut written).unwrap();
        }
        assert_eq!(written, two);
        for end in java.len() + 1..two.len() {
            let all: Vec<_> = BatchMessages::new(&two[..end]).collect();
            assert!(matches!(all[..], [Ok(_), Err(_)]), "{all:?}");
        }
    }
}
