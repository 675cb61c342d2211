//! The two header serializations: where the fields of a header lie in its bytes.
//!
//! [`json`] and [`binary`] read the canonical form, the one that clients write, in one pass and without allocating. What is
//! not in it, [`rewrite`] reads as a broker does and writes anew in that form. So only the canonical form goes on.

pub(crate) mod binary;
mod index;
pub(crate) mod json;
pub(crate) mod rewrite;
mod scanner;
pub(crate) mod text;

pub(crate) use self::index::{Entry, Index, first_bytes};
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

    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// What is read of every header, whoever asks.
#[derive(Clone, Debug)]
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

impl Head {
    /// Of a header of that many bytes, of which nothing has been read: all fields have what stands for absent ones.
    pub(crate) fn new(header: usize) -> Self {
        Self {
            code: 0,
            language: Language::JAVA,
            version: Version(0),
            opaque: 0,
            flag: 0,
            opaque_at: Span::default(),
            remark: Span::default(),
            ext_fields: Span::default(),
            index: Index::new(header),
        }
    }
}
