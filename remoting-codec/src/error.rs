//! Errors of reading and writing, with one sentence each.

use thiserror::Error;

use crate::field_spec::FieldKind;
use crate::header::value::ExtValue;

/// A frame whose end is not known: nothing after it on the connection can be read, so the
/// connection must be closed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The header's announced length is more than the frame holds.
    #[error("header of {header} bytes in a frame of {frame}")]
    HeaderOverrun {
        /// The header's announced length in bytes.
        header: usize,
        /// Bytes of the whole frame.
        frame: usize,
    },
    /// The header is over its limit, or would be with a longer opaque.
    #[error("header of {0} bytes, over the limit")]
    HeaderTooLong(usize),
    /// The announced length, its own four bytes included, is over the limit.
    #[error("frame of {length} bytes, over the limit of {limit}")]
    TooLong {
        /// Bytes of the whole frame.
        length: u64,
        /// Most bytes that a frame may have here.
        limit: usize,
    },
    /// The announced length leaves no room for the header's length.
    #[error("frame of {0} bytes, too short to hold a header")]
    TooShort(u64),
    /// Neither JSON (0) nor ROCKETMQ (1).
    #[error("unknown serialize type {0}")]
    UnknownSerializeType(u8),
}

/// A header that cannot be read. Its opaque is not known, so the request cannot be answered.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The key before that byte of the header is one that some JSON readers take for an
    /// instruction.
    #[error("header key before byte {0} is ambiguous")]
    AmbiguousKey(u32),
    /// The number before that byte of the header is one that brokers of 5.5.0 read as another.
    #[error("header number before byte {0} is ambiguous")]
    AmbiguousNumber(u32),
    /// The frame around the header is malformed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The header has bytes that are not text.
    #[error("header is not UTF-8, or holds control characters")]
    NotText,
    /// A head field that must be a number is not one, or is out of range.
    #[error("header key {0:?} is not a 32 bit number")]
    NotANumber(&'static str),
    /// The header is not in its serialization's form.
    #[error("header malformed at byte {0}")]
    Malformed(u32),
    /// The header is not canonical, and the value at that byte is nested deeper than is read.
    #[error("header value at byte {0} is nested too deep")]
    TooDeep(u32),
    /// The header is not canonical, and has more names and values than are read for one.
    #[error("header has too many values before byte {0}")]
    TooMuch(u32),
    /// The header ends before its announced parts do.
    #[error("header ends too early")]
    Truncated,
}

/// An ext field that a request needs is absent or malformed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FieldError {
    /// The field has a value that is not of its type.
    #[error("ext field {name} is not {expected}: {found:?}")]
    Malformed {
        /// The field's name on the wire.
        name: &'static str,
        /// The type that the field must have, in words.
        expected: &'static str,
        /// The text, cut to 40 characters.
        found: String,
    },
    /// The field is absent, null or empty.
    #[error("ext field {0} is missing")]
    Missing(&'static str),
}

impl FieldError {
    #[cold]
    pub(crate) fn malformed(name: &'static str, kind: FieldKind, found: ExtValue<'_>) -> Self {
        Self::Malformed {
            name,
            expected: match kind {
                FieldKind::Int => "a 32 bit number",
                FieldKind::Long => "a 64 bit number",
                FieldKind::Text => "text",
            },
            found: found.text().chars().take(40).collect(),
        }
    }
}

/// A body that cannot be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{what} body cannot be read: {reason}")]
pub struct BodyError {
    /// The kind of body.
    pub what: &'static str,
    /// The JSON reader's error.
    pub reason: String,
}

/// Why bytes are not a stored message, or why a message cannot be written.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum MessageError {
    /// The message's length, its first field, is negative, too small, or more than the bytes that
    /// follow.
    #[error("message length {0} does not fit the bytes that follow")]
    Length(i32),
    /// Neither of the two magic numbers.
    #[error("message has the unknown magic number {0:#x}")]
    Magic(u32),
    /// A host's port does not fit into 16 bits.
    #[error("message has a host with port {0}, which is not 16 bits")]
    Port(i32),
    /// A part of the message to write has more bytes than its length field can hold.
    #[error("message {what} of more than {limit} bytes")]
    TooLong {
        /// The part, in words.
        what: &'static str,
        /// Most bytes that the part may have.
        limit: usize,
    },
    /// The topic's bytes are not UTF-8.
    #[error("message's topic is not UTF-8")]
    TopicNotText,
    /// The message's length is more than that of its parts.
    #[error("message has {0} bytes behind its last part")]
    TrailingBytes(usize),
    /// The message ends before its parts do.
    #[error("message ends too early")]
    Truncated,
}

/// A property that cannot be written, or would be read differently.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PropertyError {
    /// The name or the value is empty: readers drop such a property.
    #[error("a message property needs a name and a value")]
    Empty,
    /// The name or the value holds U+0001 or U+0002, which separate properties.
    #[error("a message property must not contain U+0001 or U+0002")]
    Separator,
    /// All properties together are too long.
    #[error("message properties of more than 32767 bytes")]
    TooLong,
}

/// Text that is not in the expected form.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("not {expected}: {found:?}")]
pub struct TextError {
    /// The expected form, in words.
    pub expected: &'static str,
    /// The text, cut to 40 characters.
    pub found: String,
}

impl TextError {
    pub(crate) fn new(expected: &'static str, found: &str) -> Self {
        Self {
            expected,
            found: found.chars().take(40).collect(),
        }
    }
}
