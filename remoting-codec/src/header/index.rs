//! Where the ext fields of one header are, noted down while the header is checked, so that nobody has
//! to go through it again.

use super::Span;
use crate::ext_fields::ExtValue;

/// Most ext fields that are noted. A send has 14, three more where it is signed, and two with a
/// namespace.
const ENTRIES: usize = 24;

/// Which header's ext fields these are does not stand here: whoever has them has the header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    entries: [Entry; ENTRIES],
    len: u8,
    /// Not all are here: the header must be gone through again.
    partial: bool,
    /// By place, which values have escapes.
    escaped: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    key_at: u16,
    key_len: u16,
    value_at: u16,
    value_len: u16,
}

impl Entry {
    fn key(self) -> Span {
        let at = usize::from(self.key_at);
        Span::new(at, at + usize::from(self.key_len))
    }

    fn value(self) -> Span {
        let at = usize::from(self.value_at);
        Span::new(at, at + usize::from(self.value_len))
    }
}

impl Index {
    /// For a header of that many bytes. Of one that is longer than places are, nothing is noted.
    pub(crate) fn new(header: usize) -> Self {
        Self {
            entries: [Entry::default(); ENTRIES],
            len: 0,
            partial: header > usize::from(u16::MAX),
            escaped: 0,
        }
    }

    /// Notes one more.
    #[inline]
    pub(crate) fn push(&mut self, key: Span, value: Span, escaped: bool) {
        let Some(place) = self.entries.get_mut(usize::from(self.len)) else {
            self.partial = true;
            return;
        };
        *place = Entry {
            key_at: key.start as u16,
            key_len: (key.end - key.start) as u16,
            value_at: value.start as u16,
            value_len: (value.end - value.start) as u16,
        };
        self.escaped |= u32::from(escaped) << self.len;
        self.len += 1;
    }

    /// The fields in their order, as their names and values; `None` when not all are here.
    #[inline]
    pub(crate) fn entries<'a>(
        &self,
        header: &'a [u8],
    ) -> Option<impl Iterator<Item = (&'a [u8], ExtValue<'a>)>> {
        if self.partial {
            return None;
        }
        let noted = self.entries.get(..usize::from(self.len))?;
        let entries = noted.iter().enumerate().map(move |(nth, entry)| {
            let escaped = self.escaped >> nth & 1 != 0;
            let value = ExtValue::new(entry.value().of(header), escaped);
            (entry.key().of(header), value)
        });
        Some(entries)
    }
}
