//! What is declared of an ext field.

use crate::header::first_bytes;

/// What a field's text must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// A 32 bit number.
    Int,
    /// A 64 bit number.
    Long,
    /// Anything.
    Text,
}

/// One declared field of a request code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FieldSpec {
    /// Its name on the wire.
    pub name: &'static str,
    /// What its text must be, if it is there.
    pub kind: FieldKind,
    /// Whether the request means nothing without it.
    pub required: bool,
    /// The first bytes of its name, which tell most names apart.
    pub(crate) first: u32,
}

impl FieldSpec {
    /// A field that must be there.
    #[must_use]
    pub const fn required(name: &'static str, kind: FieldKind) -> Self {
        Self {
            name,
            kind,
            required: true,
            first: first_bytes(name.as_bytes()),
        }
    }

    /// A field that may be absent.
    #[must_use]
    pub const fn optional(name: &'static str, kind: FieldKind) -> Self {
        Self {
            name,
            kind,
            required: false,
            first: first_bytes(name.as_bytes()),
        }
    }
}
