//! Where the ext fields of one header are, noted down while the header is checked, so that nobody has
//! to go through it again.

use super::span::Span;

/// Most ext fields that are noted. A send has 14, three more where it is signed, and two with a
/// namespace.
const ENTRIES: usize = 24;

/// One ext field, where it lies in the header.
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

/// Which header's ext fields these are does not stand here: whoever has them has the header.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    places: [Place; ENTRIES],
    len: u8,
    /// Not all are here: the header must be gone through again.
    partial: bool,
    /// By place, which values have escapes.
    escaped: u32,
    /// By place, which keys have escapes.
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

/// The first four bytes of a name as a number, which tells most names apart; of a shorter name, zeros after it.
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
    /// For a header of that many bytes. Of one that is longer than places are, nothing is noted.
    pub(crate) fn new(header: usize) -> Self {
        Self {
            places: [Place::default(); ENTRIES],
            len: 0,
            partial: header > usize::from(u16::MAX),
            escaped: 0,
            keys_escaped: 0,
        }
    }

    /// Notes one more.
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

    /// The last field of a name that begins with these bytes and has that length, and of which `is_it` holds. A name of four bytes
    /// at most is known by that alone.
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

    /// That no field is here, and all are to be looked for in the header.
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

    /// Whether not all fields are here.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial
    }

    /// The fields in their order, unless [not all are here](Self::is_partial).
    #[inline]
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let noted = self.places.get(..usize::from(self.len));
        let noted = noted.unwrap_or_default().iter().enumerate();
        noted.map(|(nth, place)| self.entry(nth, place))
    }
}
