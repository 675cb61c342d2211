//! The places of one header's ext fields. They are recorded while the header is checked, so that no
//! reader has to scan it again.

use super::span::Span;

/// Most ext fields that are recorded. A send has 14, three more if it is signed, and two more with
/// a namespace.
const ENTRIES: usize = 24;

/// The place of one ext field in the header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Span,
    pub(crate) value: Span,
    /// The key's first four bytes, see [`first_bytes`].
    pub(crate) first: u32,
    /// Whether the key has escapes in it, which only rewritten headers have.
    pub(crate) key_escaped: bool,
    /// Whether the value has escapes in it.
    pub(crate) escaped: bool,
}

/// The places of ext fields in a header. The header itself is not part of it; it is passed to the
/// methods that read it.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    places: [Place; ENTRIES],
    len: u8,
    /// Some fields are not recorded: the header must be scanned again.
    partial: bool,
    /// A bit for each place: whether the value has escapes.
    escaped: u32,
    /// A bit for each place: whether the key has escapes.
    keys_escaped: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key_at: u16,
    key_len: u16,
    value_at: u16,
    value_len: u16,
    first: u32,
}

/// The first four bytes of a name as a number, which distinguishes most names. A shorter name is
/// padded with zeros.
pub(crate) const fn first_bytes(name: &[u8]) -> u32 {
    let bytes = match name {
        [] => [0; 4],
        [a] => [*a, 0, 0, 0],
        [a, b] => [*a, *b, 0, 0],
        [a, b, c] => [*a, *b, *c, 0],
        [a, b, c, d, ..] => [*a, *b, *c, *d],
    };
    u32::from_le_bytes(bytes)
}

impl Index {
    /// For a header of that many bytes. Of a header over 65,535 bytes, whose places do not fit,
    /// nothing is recorded.
    pub(crate) fn new(header: usize) -> Self {
        Self {
            places: [Place::default(); ENTRIES],
            len: 0,
            partial: header > usize::from(u16::MAX),
            escaped: 0,
            keys_escaped: 0,
        }
    }

    /// Records one more.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        let Some(place) = self.places.get_mut(usize::from(self.len)) else {
            self.partial = true;
            return;
        };
        *place = Place {
            key_at: entry.key.start as u16,
            key_len: (entry.key.end - entry.key.start) as u16,
            value_at: entry.value.start as u16,
            value_len: (entry.value.end - entry.value.start) as u16,
            first: entry.first,
        };
        self.escaped |= u32::from(entry.escaped) << self.len;
        self.keys_escaped |= u32::from(entry.key_escaped) << self.len;
        self.len += 1;
    }

    /// The last field whose name starts with these bytes, has that length, and satisfies `is_it`.
    /// Names of up to four bytes need no `is_it`.
    #[inline]
    pub(crate) fn last(
        &self,
        first: u32,
        length: usize,
        is_it: impl Fn(&Entry) -> bool,
    ) -> Option<Entry> {
        let noted = self.places.get(..usize::from(self.len))?;
        let mut rest = noted;
        while let [before @ .., place] = rest {
            if place.first == first && usize::from(place.key_len) == length {
                let entry = self.entry(before.len(), place);
                if length <= 4 || is_it(&entry) {
                    return Some(entry);
                }
            }
            rest = before;
        }
        None
    }

    /// Marks that fields are not recorded and must be searched for in the header.
    pub(crate) fn leave_out(&mut self) {
        self.partial = true;
    }

    fn entry(&self, nth: usize, place: &Place) -> Entry {
        let (key, value) = (usize::from(place.key_at), usize::from(place.value_at));
        Entry {
            key: Span::new(key, key + usize::from(place.key_len)),
            value: Span::new(value, value + usize::from(place.value_len)),
            first: place.first,
            key_escaped: self.keys_escaped >> nth & 1 != 0,
            escaped: self.escaped >> nth & 1 != 0,
        }
    }

    /// Whether some fields are not recorded.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial
    }

    /// The fields in their order; see [`is_partial`](Self::is_partial).
    #[inline]
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let noted = self.places.get(..usize::from(self.len));
        let noted = noted.unwrap_or_default().iter().enumerate();
        noted.map(|(nth, place)| self.entry(nth, place))
    }
}
