//! Writing a command's header.

use super::RemotingCommand;
use crate::header::binary::encode_ext_fields;
use crate::header::json::Writer;
use crate::header::text;

impl RemotingCommand {
    /// Writes the header as Java does: keys in their order, absent ones left out.
    pub(super) fn encode_json(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(self.code, out);
        for (key, value) in &self.ext_fields {
            writer.ext_field(
                |out| text::write_name(key.encode_utf16(), out),
                |out| text::write(value, out),
            );
        }
        let remark = self.remark.as_deref();
        let remark = remark.map(|remark| move |out: &mut Vec<u8>| text::write(remark, out));
        writer.end(
            self.flag,
            self.language,
            self.opaque.0,
            remark,
            self.version,
        );
    }

    /// Writes the binary header. Code and version are cut to their 16 bits, which is how Java does
    /// it.
    pub(super) fn encode_binary(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.code as i16).to_be_bytes());
        out.push(self.language.0);
        out.extend_from_slice(&(self.version.0 as i16).to_be_bytes());
        out.extend_from_slice(&self.opaque.0.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes());
        let remark = self.remark.as_deref().unwrap_or_default();
        out.extend_from_slice(&(remark.len() as i32).to_be_bytes());
        out.extend_from_slice(remark.as_bytes());
        let fields = self.ext_fields.iter();
        encode_ext_fields(fields.map(|(key, value)| (&**key, &**value)), out);
    }
}
