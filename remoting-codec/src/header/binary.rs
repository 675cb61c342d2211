//! The binary header (`RocketMQSerializable` in Java).
//!
//! ```text
//! code i16 | language i8 | version i16 | opaque i32 | flag i32
//! remark length i32, remark
//! ext length i32, ext: { key length i16, key, value length i32, value }
//! ```
//!
//! A binary header is canonical if its lengths are correct, it ends with its ext fields, its text
//! is UTF-8, and its ext fields have names.

use super::index::{Entry, Index, first_bytes};
use super::{Head, Span};
use crate::version::{Language, Version};

/// Offset of the opaque in bytes, behind code, language and version.
const OPAQUE: usize = 5;

/// Bytes before the remark.
pub(super) const FIXED: usize = 17;

/// Reads a header; `None` when it is not canonical.
#[inline]
pub(crate) fn decode(header: &[u8], head: &mut Head) -> Option<()> {
    let (fixed, rest) = header.split_first_chunk::<FIXED>()?;
    let [
        c0,
        c1,
        language,
        v0,
        v1,
        o0,
        o1,
        o2,
        o3,
        f0,
        f1,
        f2,
        f3,
        remark @ ..,
    ] = *fixed;
    head.code = unwrapped(i16::from_be_bytes([c0, c1]));
    head.language = Language(language);
    head.version = Version(i32::from(i16::from_be_bytes([v0, v1])));
    head.opaque = i32::from_be_bytes([o0, o1, o2, o3]);
    head.opaque_at = Span::new(OPAQUE, OPAQUE + 4);
    head.flag = i32::from_be_bytes([f0, f1, f2, f3]);
    let remark = usize::try_from(i32::from_be_bytes(remark)).ok()?;
    let (text, rest) = rest.split_at_checked(remark)?;
    is_text(text).then_some(())?;
    head.remark = Span::new(FIXED, FIXED + remark);
    let (length, ext_fields) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    if length != ext_fields.len() {
        return None;
    }
    let start = FIXED + remark + 4;
    head.ext_fields = Span::new(start, header.len());
    let mut empty = false;
    // If it is all ASCII, it is all text. If not, only the bytes of lengths may not be ASCII.
    let is_ascii = ext_fields.is_ascii();
    entries(header, start, |entry| {
        let is_text = || is_text(entry.key.of(header)) && is_text(entry.value.of(header));
        if entry.key.end == entry.key.start || !is_ascii && !is_text() {
            return None;
        }
        empty |= entry.value.end == entry.value.start;
        head.index.push(entry);
        Some(())
    })?;
    (!empty || !hides_fields(header, &head.index)).then_some(())
}

/// Whether a field without a value, which counts as absent, follows one of the same name that has a
/// value. Brokers then see no value; a reader that skips empty fields would see the earlier one.
#[cold]
fn hides_fields(header: &[u8], index: &Index) -> bool {
    if index.is_partial() {
        return true;
    }
    let is_hidden = |nth: usize, empty: &Entry| {
        let mut before = index.entries().take(nth);
        before.any(|entry| entry.key.of(header) == empty.key.of(header))
    };
    let mut entries = index.entries().enumerate();
    entries.any(|(nth, entry)| entry.value.start == entry.value.end && is_hidden(nth, &entry))
}

/// The code that a client meant. A binary header has 16 bits for it, and the codes of POP need 18:
/// Java clients truncate them (200050 is sent as 3442). No other request has one of the truncated
/// codes.
fn unwrapped(code: i16) -> i32 {
    let code = i32::from(code);
    match code {
        3442..=3448 | 3543 => code + (3 << 16),
        _ => code,
    }
}

/// Calls `each` with the place of every ext field of the header from `at` on. A key may occur
/// twice, and then the last one counts (Java writes "fast" headers and the map one after the
/// other).
#[inline]
pub(crate) fn entries(
    header: &[u8],
    mut at: usize,
    mut each: impl FnMut(Entry) -> Option<()>,
) -> Option<()> {
    while at < header.len() {
        let key_length = i16::from_be_bytes(*header.get(at..)?.first_chunk()?);
        let key = span(header, at + 2, i32::from(key_length))?;
        at = key.end as usize;
        let value_length = i32::from_be_bytes(*header.get(at..)?.first_chunk()?);
        let value = span(header, at + 4, value_length)?;
        at = value.end as usize;
        each(Entry {
            key,
            value,
            first: first_bytes(key.of(header)),
            key_escaped: false,
            escaped: false,
        })?;
    }
    Some(())
}

#[inline]
fn span(header: &[u8], start: usize, length: i32) -> Option<Span> {
    let end = start + usize::try_from(length).ok()?;
    (end <= header.len()).then(|| Span::new(start, end))
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// Writes one ext field.
#[inline]
pub(crate) fn encode_ext_field(key: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(key.len() as i16).to_be_bytes());
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&(value.len() as i32).to_be_bytes());
    out.extend_from_slice(value.as_bytes());
}

/// Writes ext fields with their length in front.
pub(crate) fn encode_ext_fields<'a>(
    ext_fields: impl Iterator<Item = (&'a str, &'a str)>,
    out: &mut Vec<u8>,
) {
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    for (key, value) in ext_fields {
        encode_ext_field(key, value, out);
    }
    let length = (out.len() - length_at - 4) as i32;
    if let Some(place) = out.get_mut(length_at..length_at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}
