//! A binary header as `RocketMQSerializable.rocketMQProtocolDecode` reads it: from the frame,
//! without regard to the header's length. So the body starts where the ext fields end, even before
//! the header's end. If they end after it, the frame has too few bytes for its body.

use super::header::{ExtFields, Header};
use super::source::{COST_MAX, Units};
use crate::error::DecodeError;
use crate::header::binary::FIXED;
use crate::version::{Language, Version};

/// The header's contents, and how many of its bytes were read.
pub(super) fn read(bytes: &[u8]) -> Result<(Header, usize), DecodeError> {
    let (fixed, _) = bytes
        .split_first_chunk::<{ FIXED - 4 }>()
        .ok_or(DecodeError::Truncated)?;
    let [c0, c1, language, v0, v1, o0, o1, o2, o3, f0, f1, f2, f3] = *fixed;
    let mut header = Header {
        code: i32::from(i16::from_be_bytes([c0, c1])),
        language: Language(language),
        version: Version(i32::from(i16::from_be_bytes([v0, v1]))),
        opaque: i32::from_be_bytes([o0, o1, o2, o3]),
        flag: i32::from_be_bytes([f0, f1, f2, f3]),
        ..Header::new()
    };
    let mut cursor = Cursor {
        bytes,
        at: fixed.len(),
    };
    let limit = bytes.len();
    header.remark = cursor.long_text(limit)?;
    // Java reads no map when its length is not positive.
    let length = usize::try_from(cursor.int()?).unwrap_or_default();
    if length > limit {
        return Err(DecodeError::Truncated);
    }
    header.ext_fields = cursor.ext_fields(length)?;
    Ok((header, cursor.at))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let rest = self.bytes.get(self.at..);
        let array = rest.and_then(|rest| rest.first_chunk::<N>());
        self.at += N;
        array.copied().ok_or(DecodeError::Truncated)
    }

    fn int(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Entries, until `length` bytes are read; the last may reach beyond.
    fn ext_fields(&mut self, length: usize) -> Result<ExtFields, DecodeError> {
        let mut fields = ExtFields::default();
        let end = self.at + length;
        let mut cost = 0;
        while self.at < end {
            let key_length = i16::from_be_bytes(self.array()?);
            let key = self.text(i32::from(key_length), length)?;
            let value = self.long_text(length)?;
            // A field without a name would be in the broker's map, but no broker reads it.
            if let Some(key) = key {
                fields.put(key, value);
            }
            cost += 1;
            if cost > COST_MAX {
                return Err(DecodeError::TooMuch(self.at as u32));
            }
        }
        Ok(fields)
    }

    fn long_text(&mut self, limit: usize) -> Result<Option<Units>, DecodeError> {
        let length = self.int()?;
        self.text(length, limit)
    }

    /// Text of that many bytes, at most `limit`; `None` for no bytes.
    fn text(&mut self, length: i32, limit: usize) -> Result<Option<Units>, DecodeError> {
        let length = usize::try_from(length).map_err(|_| DecodeError::Truncated)?;
        let bytes = self.bytes.get(self.at..self.at + length);
        let bytes = bytes.filter(|bytes| bytes.len() <= limit);
        let bytes = bytes.ok_or(DecodeError::Truncated)?;
        self.at += length;
        Ok((length > 0).then(|| decode(bytes)))
    }
}

/// UTF-8 as Java decodes it: invalid bytes become U+FFFD, one for each incomplete start of a
/// character and one for each half of a surrogate pair.
fn decode(bytes: &[u8]) -> Units {
    let mut units = Units::new();
    let mut rest = bytes;
    while let Some(chunk) = rest.utf8_chunks().next() {
        units.extend(chunk.valid().encode_utf16());
        let mut length = chunk.valid().len() + chunk.invalid().len();
        let invalid = rest.get(chunk.valid().len()..).unwrap_or_default();
        if !chunk.invalid().is_empty() {
            units.push(0xFFFD);
        }
        if let [0xED, 0xA0..=0xBF, third @ ..] = invalid {
            let is_whole = matches!(third, [0x80..=0xBF, ..]);
            length = chunk.valid().len() + if is_whole { 3 } else { 2 };
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text_are_read_as_in_java() {
        for (bytes, text) in [
            (&b"a\xffb"[..], "a\u{fffd}b"),
            (b"\xc3\x28", "\u{fffd}("),
            (b"\xe4\xb8", "\u{fffd}"),
            (b"\xed\xa0\xbd\xed\xb8\x80.", "\u{fffd}\u{fffd}."),
            (b"\xed\xa0", "\u{fffd}"),
            (b"\xf0\x9f\x98\x80\xf8", "😀\u{fffd}"),
        ] {
            assert_eq!(String::from_utf16_lossy(&decode(bytes)), text);
        }
    }
}
