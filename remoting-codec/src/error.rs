//! What can be wrong with bytes, one sentence each.

use thiserror::Error;

use crate::field_spec::FieldKind;
use crate::header::value::ExtValue;

/// A frame that cannot be told from its neighbours: nothing after it on the connection can be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The header's announced length is more than the frame holds.
    #[error("header of {header} bytes in a frame of {frame}")]
    HeaderOverrun {
        /// Bytes that the header claims.
        header: usize,
        /// Bytes of the whole frame.
        frame: usize,
    },
    /// The header is over its limit, or would be with a longer opaque in it.
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

/// A header that cannot be read: whose request it was is not known, so it cannot be answered.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The key before that byte of the header is one that some readers take for an instruction.
    #[error("header key before byte {0} is ambiguous")]
    AmbiguousKey(u32),
    /// The frame around the header is wrong.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The header holds bytes that are no text.
    #[error("header is not UTF-8, or holds control characters")]
    NotText,
    /// A number of the head is none, or does not fit.
    #[error("header key {0:?} is not a 32 bit number")]
    NotANumber(&'static str),
    /// The header is not in its serialization's form.
    #[error("header malformed at byte {0}")]
    Malformed(u32),
    /// The header ends before its announced parts do.
    #[error("header ends too early")]
    Truncated,
}

/// An ext field that a request needs is absent or does not hold what it must.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FieldError {
    /// The field is there and cannot be read as what it must be.
    #[error("ext field {name} is not {expected}: {found:?}")]
    Malformed {
        /// The field's name on the wire.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is, cut short.
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

/// A body that must be read and cannot be.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{what} body cannot be read: {reason}")]
pub struct BodyError {
    /// Which body.
    pub what: &'static str,
    /// What the JSON reader says of it.
    pub reason: String,
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum MessageError {
    /// The length that the message begins with is not that of any message that is there.
    #[error("message of {0} bytes, which are not there")]
    Length(i32),
    /// Neither of the two magic numbers.
    #[error("message begins with the unknown magic number {0:#x}")]
    Magic(u32),
    /// A host's port does not fit into 16 bits.
    #[error("message has {0} for a port")]
    Port(i32),
    /// A part of a message that is to be written has more bytes than its length can say.
    #[error("message {what} of more than {limit} bytes")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// Most bytes that it may have.
        limit: usize,
    },
    /// The topic is no text.
    #[error("message's topic is not UTF-8")]
    TopicNotText,
    /// The message's parts are shorter than its length says.
    #[error("message has {0} bytes behind its last part")]
    TrailingBytes(usize),
    /// The message ends before its parts do.
    #[error("message ends too early")]
    Truncated,
}

/// A property that cannot be written, or would not be read as it was written.
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

/// Text that is not in the form that it should be in.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("not {expected}: {found:?}")]
pub struct TextError {
    /// What it should be.
    pub expected: &'static str,
    /// What it is, cut short.
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
