//! The declaration of an ext field.

use crate::header::first_bytes;

/// The type of a field, whose text is checked against it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// A 32 bit number.
    Int,
    /// A 64 bit number.
    Long,
    /// Any text: nothing is checked.
    Text,
}

/// One declared field of a request code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FieldSpec {
    /// Its name on the wire.
    pub name: &'static str,
    /// The type of its text, if there is a value.
    pub kind: FieldKind,
    /// Whether the request is refused without it.
    pub required: bool,
    /// The first bytes of its name, which distinguish most names.
    pub(crate) first: u32,
}

impl FieldSpec {
    /// A field that must have a value.
    #[must_use]
    pub const fn required(name: &'static str, kind: FieldKind) -> Self {
        Self {
            name,
            kind,
            required: true,
            first: first_bytes(name.as_bytes()),
        }
    }

    /// A field that may be absent; if it has a value, its type is checked.
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
