//! The binary header (`RocketMQSerializable` in Java).
//!
//! ```text
//! code i16 | language i8 | version i16 | opaque i32 | flag i32
//! remark length i32, remark | ext length i32, ext: { key length i16, key, value length i32, value }
//! ```

use super::{Head, Index, Span};
use crate::error::DecodeError;
use crate::ext_fields::ExtValue;
use crate::version::{Language, Version};

/// Offset of the opaque.
const OPAQUE: usize = 5;

/// Reads the head, and makes sure of the rest.
pub(crate) fn decode(header: &[u8]) -> Result<Head, DecodeError> {
    let mut at = Cursor {
        bytes: header,
        at: 0,
    };
    let code = i16::from_be_bytes(at.array()?);
    let [language] = at.array()?;
    let version = i16::from_be_bytes(at.array()?);
    let opaque = i32::from_be_bytes(at.array()?);
    let flag = i32::from_be_bytes(at.array()?);
    let remark_length = i32::from_be_bytes(at.array()?);
    let remark = at.text(remark_length)?;
    // Java leaves the map out when its length is not positive.
    let ext_length = i32::from_be_bytes(at.array()?).max(0);
    let ext_fields = at.span(ext_length)?;
    let mut index = Index::new(header.len());
    let ext_bytes = ext_fields.of(header);
    let from = ext_fields.start;
    entries(ext_bytes, |key, value| {
        text(key.of(ext_bytes))?;
        text(value.of(ext_bytes))?;
        if value.end > value.start {
            index.push(key.after(from), value.after(from), false);
        }
        Ok(())
    })?;
    Ok(Head {
        code: unwrapped(code),
        language: Language(language),
        version: Version(i32::from(version)),
        opaque,
        flag,
        opaque_at: Span::new(OPAQUE, OPAQUE + 4),
        remark,
        ext_fields,
        index,
    })
}

/// The code that a client meant. A binary header has 16 bits for it, the codes around POP need 18:
/// Java clients cut them off (200050 is sent as 3442). No other code lies where those end up.
fn unwrapped(code: i16) -> i32 {
    let code = i32::from(code);
    match code {
        3442..=3448 | 3543 => code + (3 << 16),
        _ => code,
    }
}

/// Calls `each` with every ext field that has a value, in their order; a key may come twice, and
/// then the last one counts (Java writes "fast" headers and the map one after the other).
pub(crate) fn visit<'a>(
    ext_fields: &'a [u8],
    mut each: impl FnMut(&'a [u8], ExtValue<'a>),
) -> Result<(), DecodeError> {
    entries(ext_fields, |key, value| {
        if value.end > value.start {
            each(
                key.of(ext_fields),
                ExtValue::new(value.of(ext_fields), false),
            );
        }
        Ok(())
    })
}

/// Calls `each` with where the name and the value of every ext field are.
fn entries(
    ext_fields: &[u8],
    mut each: impl FnMut(Span, Span) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut at = Cursor {
        bytes: ext_fields,
        at: 0,
    };
    while at.at < ext_fields.len() {
        let key_length = i32::from(i16::from_be_bytes(at.array()?));
        let key = at.span(key_length)?;
        let value_length = i32::from_be_bytes(at.array()?);
        each(key, at.span(value_length)?)?;
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::NotText)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let array = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<N>())
            .ok_or(DecodeError::Truncated)?;
        self.at += N;
        Ok(*array)
    }

    fn span(&mut self, length: i32) -> Result<Span, DecodeError> {
        let length = usize::try_from(length).map_err(|_| DecodeError::Truncated)?;
        let end = self.at + length;
        if end > self.bytes.len() {
            return Err(DecodeError::Truncated);
        }
        let span = Span::new(self.at, end);
        self.at = end;
        Ok(span)
    }

    fn text(&mut self, length: i32) -> Result<Span, DecodeError> {
        let span = self.span(length)?;
        text(span.of(self.bytes))?;
        Ok(span)
    }
}

/// Writes the binary header; returns nothing, for everything fits or was cut by the caller.
pub(crate) fn encode(command: &crate::RemotingCommand, out: &mut Vec<u8>) {
    out.extend_from_slice(&(command.code as i16).to_be_bytes());
    out.push(command.language.0);
    out.extend_from_slice(&(command.version.0 as i16).to_be_bytes());
    out.extend_from_slice(&command.opaque.to_be_bytes());
    out.extend_from_slice(&command.flag.to_be_bytes());
    let remark = command.remark.as_deref().unwrap_or_default();
    out.extend_from_slice(&(remark.len() as i32).to_be_bytes());
    out.extend_from_slice(remark.as_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    for (key, value) in &command.ext_fields {
        out.extend_from_slice(&(key.len() as i16).to_be_bytes());
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&(value.len() as i32).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    let length = (out.len() - length_at - 4) as i32;
    if let Some(place) = out.get_mut(length_at..length_at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}
