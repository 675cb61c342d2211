//! The fields that all headers have.

use super::index::Index;
use super::span::Span;
use crate::version::{Language, Version};

/// The fields that are read of every header.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) code: i32,
    pub(crate) language: Language,
    pub(crate) version: Version,
    pub(crate) opaque: i32,
    pub(crate) flag: i32,
    /// Where the opaque is: digits in JSON, four bytes in the binary form.
    pub(crate) opaque_at: Span,
    /// The remark's bytes: in JSON between its quotes, escapes and all.
    pub(crate) remark: Span,
    /// The ext fields' bytes: in JSON from brace to brace, empty when absent.
    pub(crate) ext_fields: Span,
    /// The places of the ext fields, by which their values are found.
    pub(crate) index: Index,
}

impl Head {
    /// For a header of that many bytes, before anything is read: each field has the value of an
    /// absent one.
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
