//! The types of [`proto`](super) as text: the tokens that `prost` derives their coding from. For
//! the test that compares them with the protocol's descriptor, and for nothing else.

/// A field: `name: rust_type = kind(number, label)`.
#[derive(Clone, Copy, Debug)]
pub struct FieldDescription {
    /// Its name.
    pub name: &'static str,
    /// Its number on the wire.
    pub number: i32,
    /// Its type on the wire: a scalar's name, `message`, `enumeration(Name)` or `map(key, value)`.
    pub kind: &'static str,
    /// `optional`, `repeated` or nothing.
    pub label: &'static str,
    /// Its type in Rust, which names the type of a message.
    pub rust_type: &'static str,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct MessageDescription {
    /// Its name in Rust.
    pub name: &'static str,
    /// Its fields outside a oneof.
    pub fields: &'static [FieldDescription],
    /// Its oneof, if it has one: name, numbers by which it is found, fields.
    pub oneof: &'static [(&'static str, &'static str, &'static [FieldDescription])],
}

/// An enumeration.
#[derive(Clone, Copy, Debug)]
pub struct EnumerationDescription {
    /// Its name in Rust.
    pub name: &'static str,
    /// Names in the protocol and numbers.
    pub values: &'static [(&'static str, i32)],
}

/// A message that describes itself.
pub trait DescribedMessage {
    /// The description.
    const DESCRIPTION: MessageDescription;
}

/// A oneof that describes itself.
pub trait DescribedOneof {
    /// Its fields.
    const FIELDS: &'static [FieldDescription];
}

/// An enumeration that describes itself.
pub trait DescribedEnumeration {
    /// The description.
    const DESCRIPTION: EnumerationDescription;
}
