//! The two header serializations: where the fields of a header lie in its bytes.

pub(crate) mod binary;
mod index;
pub(crate) mod json;
mod reader;

pub(crate) use self::index::Index;
use crate::version::{Language, Version};

/// A stretch of a header's bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// The same stretch of something that lies `by` bytes into the header.
    pub(crate) fn after(self, by: u32) -> Self {
        Self {
            start: self.start + by,
            end: self.end + by,
        }
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// What is read of every header, whoever asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) code: i32,
    pub(crate) language: Language,
    pub(crate) version: Version,
    pub(crate) opaque: i32,
    pub(crate) flag: i32,
    /// Where the opaque stands: digits in JSON, four bytes in the binary form.
    pub(crate) opaque_at: Span,
    /// The remark's bytes: in JSON between its quotes, escapes and all.
    pub(crate) remark: Span,
    /// The ext fields' bytes: in JSON from brace to brace, empty when absent.
    pub(crate) ext_fields: Span,
    /// Where in the header each of them is.
    pub(crate) index: Index,
}
