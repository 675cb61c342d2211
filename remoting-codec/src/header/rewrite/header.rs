//! A header as a broker reads it, and its canonical form.

use std::collections::HashSet;

use super::source::Units;
use crate::error::DecodeError;
use crate::header::binary::encode_ext_fields;
use crate::header::json::Writer;
use crate::header::text;
use crate::version::{Language, Version};

/// What a broker reads of a header that is not canonical.
pub(super) struct Header {
    pub(super) code: i32,
    pub(super) language: Language,
    pub(super) version: Version,
    pub(super) opaque: i32,
    pub(super) flag: i32,
    pub(super) remark: Option<Units>,
    pub(super) ext_fields: ExtFields,
}

impl Header {
    pub(super) fn new() -> Self {
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

    pub(super) fn write_json(&self) -> Vec<u8> {
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

    /// Its numbers were read from a binary header, so they fit into one.
    pub(super) fn write_binary(&self) -> Result<Vec<u8>, DecodeError> {
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
        // Each byte that is not text has become U+FFFD, which has three bytes.
        if fields.iter().any(|(key, _)| key.len() > i16::MAX as usize) {
            return Err(DecodeError::NotText);
        }
        let fields = fields.iter();
        encode_ext_fields(fields.map(|(key, value)| (&**key, &**value)), &mut out);
        Ok(out)
    }
}

/// Ext fields as in a broker's map: the last value of a name counts, and a field without a value is
/// absent.
#[derive(Default)]
pub(super) struct ExtFields {
    fields: Vec<(Units, Option<Units>)>,
}

impl ExtFields {
    pub(super) fn put(&mut self, key: Units, value: Option<Units>) {
        self.fields.push((key, value));
    }

    /// The fields that have a value, each name once.
    pub(super) fn map(&self) -> impl Iterator<Item = (&Units, &Units)> {
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
