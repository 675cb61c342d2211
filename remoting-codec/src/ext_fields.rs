//! A header's ext fields, read where they lie.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem::Finder;

use crate::frame::SerializeType;
use crate::header::{Entry, Head, binary, json, text};

/// The ext fields of a header: text by name, in the order of the wire.
#[derive(Clone, Copy, Debug)]
pub struct ExtFields<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) head: &'a Head,
    pub(crate) serialize_type: SerializeType,
}

impl<'a> ExtFields<'a> {
    /// Calls `each` with every field that has a value. A name that comes twice is called twice, and
    /// the later value is the one that counts, as it is in the reference's map.
    pub fn visit(&self, mut each: impl FnMut(&str, ExtValue<'a>)) {
        self.visit_bytes(|key, value| each(std::str::from_utf8(key).unwrap_or_default(), value));
    }

    /// The same, with names as bytes.
    pub(crate) fn visit_bytes(&self, mut each: impl FnMut(&[u8], ExtValue<'a>)) {
        let binary = self.serialize_type == SerializeType::RocketMq;
        let mut visit = |header: &'a [u8], entry: Entry| {
            // A binary header has no other way to say that there is no value.
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
        // The bytes have been through the header's decoder, or come from a broker: this does not fail half way.
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

/// The value of an ext field. All are text on the wire; C++ sends bare JSON numbers, whose literal
/// text counts.
#[derive(Clone, Copy)]
pub struct ExtValue<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl fmt::Debug for ExtValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

impl Eq for ExtValue<'_> {}

/// The same text, however it is written.
impl PartialEq for ExtValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl<'a> From<&'a str> for ExtValue<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text.as_bytes(), false)
    }
}

impl<'a> ExtValue<'a> {
    /// Of bytes that the header's decoder has found to be text.
    pub(crate) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The text, its escapes resolved: borrowed unless there are any.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        let raw = std::str::from_utf8(self.raw).unwrap_or_default();
        if self.escaped {
            Cow::Owned(text::unescape(raw))
        } else {
            Cow::Borrowed(raw)
        }
    }

    /// The text as a 32 bit number, if it is one.
    #[must_use]
    pub fn int(&self) -> Option<i32> {
        match self.short_number() {
            Some(number) => i32::try_from(number).ok(),
            None => self.text().parse().ok(),
        }
    }

    /// A number of few digits, as most are, read from its bytes.
    #[inline]
    fn short_number(&self) -> Option<i64> {
        const FEW: usize = 18;
        if self.raw.is_empty() || self.raw.len() > FEW {
            return None;
        }
        self.raw.iter().try_fold(0, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then(|| number * 10 + i64::from(digit))
        })
    }

    /// The text as a 64 bit number, if it is one.
    #[must_use]
    pub fn long(&self) -> Option<i64> {
        self.short_number().or_else(|| self.text().parse().ok())
    }

    /// Whether the text is `true` as Java reads it: in any case, and not `1`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.text().eq_ignore_ascii_case("true")
    }

    /// The text as it stands in the header, with its escapes.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether what `finder` looks for is somewhere in the text; for words that need no escapes in JSON.
    #[must_use]
    pub fn contains(&self, finder: &Finder<'_>) -> bool {
        finder.find(self.raw).is_some()
    }

    /// Whether there is no text at all, which the reference takes for no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}
