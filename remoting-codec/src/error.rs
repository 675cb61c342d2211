//! What can be wrong with bytes, one sentence each.

use thiserror::Error;

use crate::ext_fields::ExtValue;
use crate::fields::FieldKind;

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
