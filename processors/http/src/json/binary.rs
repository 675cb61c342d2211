//! The bytes behind handles and tokens: texts that only this API reads.
//!
//! ```text
//! base64url( kind u8 | version u8 | parts | check u32 )
//! ```
//!
//! A number is zigzag-encoded in groups of 7 bits, the lowest first; a text has its length before
//! it. The check finds texts that were cut or mistyped. It is no signature: who may use a topic may
//! make a handle of it, as a client of any other protocol may.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Most characters of a text that is read.
const LONGEST: usize = 4096;

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// A hash of bytes (FNV-1a).
pub(super) fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let bytes = parts.into_iter().flatten();
    bytes.fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Writes the parts of one text.
#[derive(Debug)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(kind: u8) -> Self {
        Self(vec![kind, VERSION])
    }

    pub(super) fn number(mut self, number: i64) -> Self {
        let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
        let mut writer = self.number(length);
        writer.0.extend_from_slice(text.as_bytes());
        writer
    }

    pub(super) fn finish(mut self) -> String {
        let check = hash([&*self.0]);
        self.0.extend_from_slice(&check.to_be_bytes());
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Reads the parts of one text, in the order in which they were written.
#[derive(Debug)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    /// `None` if the text is not of that kind, or was changed.
    pub(super) fn new(kind: u8, text: &str) -> Option<Self> {
        let text = (text.len() <= LONGEST).then_some(text)?;
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (content, check) = bytes.split_last_chunk::<4>()?;
        let is_right =
            content.starts_with(&[kind, VERSION]) && hash([content]) == u32::from_be_bytes(*check);
        bytes.truncate(bytes.len() - 4);
        is_right.then_some(Self { bytes, at: 2 })
    }

    pub(super) fn number(&mut self) -> Option<i64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                // One number has one form.
                let is_shortest = shift == 0 || bits != 0;
                let magnitude = (number >> 1).cast_signed();
                return is_shortest.then_some(magnitude ^ -((number & 1).cast_signed()));
            }
        }
        None
    }

    /// A number of that type.
    pub(super) fn small<N: TryFrom<i64>>(&mut self) -> Option<N> {
        self.number()?.try_into().ok()
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length: usize = self.small()?;
        let end = self.at.checked_add(length)?;
        let text = self.bytes.get(self.at..end)?;
        let text = std::str::from_utf8(text).ok()?.to_owned();
        self.at = end;
        Some(text)
    }

    /// What was read, if nothing is left.
    pub(super) fn finish<T>(self, read: T) -> Option<T> {
        (self.at == self.bytes.len()).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_they_are_written() {
        for number in [0, 1, -1, 63, 64, -64, -65, 1 << 40, i64::MAX, i64::MIN] {
            let text = Writer::new(b'h').number(number).text("ключ").finish();
            let mut reader = Reader::new(b'h', &text).unwrap();
            assert_eq!(reader.number(), Some(number));
            assert_eq!(reader.text().as_deref(), Some("ключ"));
            assert_eq!(reader.finish(()), Some(()));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let text = Writer::new(b'h').number(300).text("x").finish();
        assert!(Reader::new(b't', &text).is_none());
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert!(Reader::new(b'h', &other).is_none(), "{other}");
        }
        for wrong in [
            "",
            "a",
            "aAE",
            &text[1..],
            &format!("{text}="),
            &"a".repeat(5_000),
        ] {
            assert!(Reader::new(b'h', wrong).is_none(), "{wrong}");
        }
        // A part too few, and one too many.
        let mut reader = Reader::new(b'h', &Writer::new(b'h').finish()).unwrap();
        assert_eq!((reader.number(), reader.text()), (None, None));
        let mut reader = Reader::new(b'h', &text).unwrap();
        assert_eq!(reader.small::<u8>(), None);
        assert_eq!(reader.finish(()), None);
        let lengths = [i64::MAX, -1, 2];
        for length in lengths {
            let text = Writer::new(b'h').number(length).number(0).finish();
            assert_eq!(Reader::new(b'h', &text).unwrap().text(), None, "{length}");
        }
    }

    #[test]
    fn a_number_has_one_form() {
        let of = |bytes: &[u8]| {
            let mut writer = Writer::new(b'h');
            writer.0.extend_from_slice(bytes);
            Reader::new(b'h', &writer.finish()).unwrap().number()
        };
        assert_eq!(of(&[0x02]), Some(1));
        assert_eq!(of(&[0x82, 0x00]), None);
        assert_eq!(of(&[0xFF; 11]), None);
        assert_eq!(
            of(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
            Some(i64::MIN)
        );
        assert_eq!(
            of(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02]),
            None
        );
    }
}
