//! Headers that are not in the canonical form: read as a broker of 5.5.0 reads them, and written anew in that form.
//!
//! The cold path: it may allocate, but no more than a few times the header's length, and takes linear time.
//!
//! The readers are more lenient than the broker's where that is simpler: nothing of it is passed on. What they refuse although
//! that broker would take it is listed in decision 0010.

mod binary;
mod json;
mod nested;
mod number;
mod source;

use std::collections::HashSet;

use self::source::Units;
use super::{binary::encode_ext_fields, json::Writer, text};
use crate::error::{DecodeError, FrameError};
use crate::frame::{FRAME_PREFIX, SerializeType};
use crate::version::{Language, Version};

/// A header in canonical form, and what of it was not in the original.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) header: Vec<u8>,
    /// Bytes that the original had, its body behind them.
    pub(crate) consumed: usize,
}

/// Reads a header that is not canonical and writes it anew.
///
/// # Errors
/// When a broker could not read it either, and for the few forms that are not taken.
#[cold]
pub(crate) fn rewrite(
    header: &[u8],
    serialize_type: SerializeType,
) -> Result<Rewritten, DecodeError> {
    let rewritten = match serialize_type {
        SerializeType::Json => Rewritten {
            header: json::read(header)?.write_json(),
            consumed: header.len(),
        },
        SerializeType::RocketMq => {
            let (read, consumed) = binary::read(header)?;
            Rewritten {
                header: read.write_binary()?,
                consumed,
            }
        }
    };
    if rewritten.header.len() + FRAME_PREFIX > crate::frame::MAX_REWRITTEN {
        return Err(FrameError::HeaderTooLong(rewritten.header.len()).into());
    }
    Ok(rewritten)
}

/// What a header says.
struct Header {
    code: i32,
    language: Language,
    version: Version,
    opaque: i32,
    flag: i32,
    remark: Option<Units>,
    ext_fields: ExtFields,
}

impl Header {
    fn new() -> Self {
        Self {
            code: 0,
            language: Language::JAVA,
            version: Version(0),
            opaque: 0,
            flag: 0,
            remark: None,
            ext_fields: ExtFields::default(),
        }
    }

    fn write_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(self.code, &mut out);
        for (key, value) in self.ext_fields.map() {
            writer.ext_field(
                |out| text::write_name(key.iter().copied(), out),
                |out| text::write_units(value, out),
            );
        }
        let remark = self.remark.as_ref();
        let remark = remark.map(|remark| move |out: &mut Vec<u8>| text::write_units(remark, out));
        let (language, version) = (self.language, self.version);
        writer.end(self.flag, language, self.opaque, remark, version);
        out
    }

    /// Its numbers come from a binary header, so they fit into one.
    fn write_binary(&self) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::new();
        out.extend_from_slice(&(self.code as i16).to_be_bytes());
        out.push(self.language.0);
        out.extend_from_slice(&(self.version.0 as i16).to_be_bytes());
        out.extend_from_slice(&self.opaque.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes());
        let remark = String::from_utf16_lossy(self.remark.as_deref().unwrap_or_default());
        out.extend_from_slice(&(remark.len() as i32).to_be_bytes());
        out.extend_from_slice(remark.as_bytes());
        let fields = self.ext_fields.map();
        let fields: Vec<(String, String)> = fields
            .map(|(key, value)| {
                (
                    String::from_utf16_lossy(key),
                    String::from_utf16_lossy(value),
                )
            })
            .collect();
        // Bytes that were no text have become three each.
        if fields.iter().any(|(key, _)| key.len() > i16::MAX as usize) {
            return Err(DecodeError::NotText);
        }
        let fields = fields.iter();
        encode_ext_fields(fields.map(|(key, value)| (&**key, &**value)), &mut out);
        Ok(out)
    }
}

/// Ext fields as the map that a broker puts them into: the last value of a name counts, and none is as good as no field.
#[derive(Default)]
struct ExtFields {
    fields: Vec<(Units, Option<Units>)>,
}

impl ExtFields {
    fn put(&mut self, key: Units, value: Option<Units>) {
        self.fields.push((key, value));
    }

    /// Those that have a value, each name once.
    fn map(&self) -> impl Iterator<Item = (&Units, &Units)> {
        let mut names = HashSet::with_capacity(self.fields.len());
        let mut map = Vec::with_capacity(self.fields.len());
        for (name, value) in self.fields.iter().rev() {
            if names.insert(name.as_slice())
                && let Some(value) = value
            {
                map.push((name, value));
            }
        }
        map.reverse();
        map.into_iter()
    }
}
