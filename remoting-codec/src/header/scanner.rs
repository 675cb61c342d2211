//! Reads the bytes of canonical JSON, eight at a time where it searches for the end of a string.
//!
//! There are no errors here: `None` means that the header is not canonical, for whatever reason.

use super::Span;
use super::index::{Entry, first_bytes};

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Most digits of a number among the ext fields: any such number fits into 64 bits.
const MAX_DIGITS: usize = 18;

/// A bit for each quote, backslash and control character among eight bytes, the first byte's bit
/// lowest. Only the lowest bit that is set is valid.
#[inline]
fn stops(word: u64) -> u64 {
    // A byte that is 0 borrows from the one above; only bits above the lowest are then invalid.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    let quotes = zeros(word ^ (ONES * u64::from(b'"')));
    let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
    (controls | quotes | backslashes) & HIGHS
}

/// Reads a header from front to back.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The bitwise or of all bytes of strings, and of some bytes after them.
    seen: u64,
    /// The header was rewritten by this crate: keys may have escapes.
    rewritten: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8], rewritten: bool) -> Self {
        Self {
            bytes,
            at: 0,
            seen: 0,
            rewritten,
        }
    }

    /// The place of the next byte.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The bytes that are not read yet.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Whether the strings so far may have bytes that are not ASCII.
    pub(super) fn is_wide(&self) -> bool {
        self.seen & HIGHS != 0
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Skips `wanted`, if these are the next bytes.
    #[inline]
    pub(super) fn take<const N: usize>(&mut self, wanted: &[u8; N]) -> Option<()> {
        let is_there = self.rest().first_chunk::<N>() == Some(wanted);
        self.at += if is_there { N } else { 0 };
        is_there.then_some(())
    }

    /// A 32 bit number without superfluous signs and zeros.
    #[inline]
    pub(super) fn int(&mut self) -> Option<i32> {
        let negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let start = self.at;
        let mut number = 0_i64;
        while let Some(digit) = self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
            && self.at < start + MAX_DIGITS
        {
            number = number * 10 + i64::from(digit);
            self.at += 1;
        }
        let length = self.at - start;
        if length == 0 || self.bytes.get(start) == Some(&b'0') && (length > 1 || negative) {
            return None;
        }
        i32::try_from(if negative { -number } else { number }).ok()
    }

    /// A string of which the opening quote was read: its place without quotes, and whether it has
    /// escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Option<(Span, bool)> {
        // Most strings fit into one load.
        if let Some(chunk) = self.rest().first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let stops = stops(word);
            let ahead = stops.trailing_zeros() & !7;
            self.seen |= word;
            if stops == 0 {
                self.at += 8;
                return self.long_string(self.at - 8);
            }
            if (word >> ahead) as u8 == b'"' {
                let start = self.at;
                self.at += (ahead / 8) as usize + 1;
                return Some((Span::new(start, self.at - 1), false));
            }
        }
        self.long_string(self.at)
    }

    /// As [`Self::string`], for a string that is longer than one load or has escapes. It starts at
    /// `start`, and the scanner is inside it.
    #[inline(never)]
    fn long_string(&mut self, start: usize) -> Option<(Span, bool)> {
        let mut escaped = false;
        loop {
            match self.go_to_stop()? {
                b'"' => {
                    self.at += 1;
                    return Some((Span::new(start, self.at - 1), escaped));
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return None,
            }
        }
    }

    /// Skips an escape, whose backslash is the next byte.
    #[inline]
    fn escape(&mut self) -> Option<()> {
        let length = match self.rest() {
            [_, b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|x| x.is_ascii_hexdigit()) => 6,
            [
                _,
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                ..,
            ] => 2,
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    /// Skips to the next quote, backslash or control character, and returns it.
    #[inline]
    fn go_to_stop(&mut self) -> Option<u8> {
        let mut rest = self.rest();
        while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            self.seen |= word;
            let stops = stops(word);
            if stops != 0 {
                let ahead = stops.trailing_zeros() & !7;
                self.at += (ahead / 8) as usize;
                return Some((word >> ahead) as u8);
            }
            self.at += 8;
            rest = after;
        }
        for byte in rest {
            self.seen |= u64::from(*byte);
            if matches!(byte, b'"' | b'\\' | 0..0x20) {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// A name of an ext field, of which the opening quote was read. It must be ASCII without
    /// escapes, because the readers of brokers differ in how they read other names. It must not be
    /// one of the two names that some readers take for instructions.
    #[inline]
    fn key(&mut self) -> Option<(Span, u32, bool)> {
        let start = self.at;
        // Nearly all names fit into one load, together with the bytes after them.
        if let Some(chunk) = self.rest().first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let stops = stops(word) | (word & HIGHS);
            let ahead = stops.trailing_zeros() & !7;
            if stops != 0 && (word >> ahead) as u8 == b'"' && !matches!(word as u8, b'@' | b'$') {
                self.at += (ahead / 8) as usize + 1;
                let name = (word & ((1 << ahead) - 1)) as u32;
                return Some((Span::new(start, self.at - 1), name, false));
            }
        }
        self.any_key()
    }

    fn any_key(&mut self) -> Option<(Span, u32, bool)> {
        let (key, escaped) = self.string()?;
        let name = key.of(self.bytes);
        let is_plain = name.is_ascii() && !is_instruction(name);
        (is_plain && (!escaped || self.rewritten)).then(|| (key, first_bytes(name), escaped))
    }

    /// The object of ext fields, of which the opening brace was read: calls `each` with every
    /// field.
    #[inline]
    pub(super) fn ext_fields(&mut self, mut each: impl FnMut(Entry)) -> Option<()> {
        match self.next()? {
            b'}' => return Some(()),
            b'"' => {}
            _ => return None,
        }
        loop {
            let (key, first, key_escaped) = self.key()?;
            let (value, escaped) = match self.rest() {
                [b':', b'"', ..] => {
                    self.at += 2;
                    self.string()?
                }
                [b':', b'-' | b'0'..=b'9', ..] => {
                    self.at += 2;
                    (self.number()?, false)
                }
                _ => return None,
            };
            each(Entry {
                key,
                value,
                first,
                key_escaped,
                escaped,
            });
            match self.rest() {
                [b',', b'"', ..] => self.at += 2,
                [b'}', ..] => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A number without quotes, as C++ sends it, of which the first byte was read. It must be
    /// whole, and short enough for all readers.
    fn number(&mut self) -> Option<Span> {
        let start = self.at - 1;
        let digits = |byte: &&u8| byte.is_ascii_digit();
        let more = self.rest().iter().take_while(digits).count();
        self.at += more;
        let span = Span::new(start, self.at);
        match span.of(self.bytes) {
            [b'-'] | [b'-', b'0', ..] | [b'0', _, ..] => None,
            _ => (more < MAX_DIGITS).then_some(span),
        }
    }
}

/// Whether some JSON readers take an ext field of that name, in UTF-8 or UTF-16, for an
/// instruction: to build an object of some class, or to insert another part of the header.
pub(super) fn is_instruction<T: Copy + Into<u32>>(name: &[T]) -> bool {
    let is = |word: &str| {
        name.iter()
            .map(|unit| (*unit).into())
            .eq(word.bytes().map(u32::from))
    };
    is("@type") || is("$ref")
}
