//! A header's ext fields, read in place.

use crate::frame::SerializeType;
use crate::header::value::ExtValue;
use crate::header::{Entry, Head, binary, json};

/// The ext fields of a header: text by name, in the order of the wire.
#[derive(Clone, Copy, Debug)]
pub struct ExtFields<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) head: &'a Head,
    pub(crate) serialize_type: SerializeType,
}

impl<'a> ExtFields<'a> {
    /// Calls `each` with every field that has a value. A name that occurs twice is passed twice;
    /// the later value counts, as in the reference's map.
    pub fn visit(&self, mut each: impl FnMut(&str, ExtValue<'a>)) {
        self.visit_bytes(|key, value| each(std::str::from_utf8(key).unwrap_or_default(), value));
    }

    /// As [`Self::visit`], with names as bytes; their escapes are resolved.
    pub(crate) fn visit_bytes(&self, mut each: impl FnMut(&[u8], ExtValue<'a>)) {
        let binary = self.serialize_type == SerializeType::RocketMq;
        let mut visit = |header: &'a [u8], entry: Entry| {
            // In a binary header an empty value is an absent one.
            if binary && entry.value.start == entry.value.end {
                return;
            }
            let value = ExtValue::new(entry.value.of(header), entry.escaped);
            if entry.key_escaped {
                let name = ExtValue::new(entry.key.of(header), true);
                each(name.text().as_bytes(), value);
            } else {
                each(entry.key.of(header), value);
            }
        };
        if !self.head.index.is_partial() {
            let entries = self.head.index.entries();
            return entries.for_each(|entry| visit(self.header, entry));
        }
        let bytes = self.head.ext_fields.of(self.header);
        // The header's decoder has checked the bytes, or they are from a broker: this does not fail
        // half way.
        let _ = match self.serialize_type {
            SerializeType::Json if bytes.is_empty() => None,
            SerializeType::Json => json::visit(bytes, |entry| visit(bytes, entry)),
            SerializeType::RocketMq => binary::entries(bytes, 0, |entry| {
                visit(bytes, entry);
                Some(())
            }),
        };
    }

    /// The value of one field; for several at once, [`crate::Fields`] reads them in one pass.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<ExtValue<'a>> {
        let mut found = None;
        self.visit_bytes(|key, value| {
            if key == name.as_bytes() {
                found = Some(value);
            }
        });
        found
    }
}
