//! Writing a command's header.

use bytes::Bytes;

use super::RemotingCommand;
use crate::frame::{FRAME_PREFIX, SerializeType, encode_prefix};
use crate::header::binary::{encode_ext_field, encode_ext_fields};
use crate::header::json::Writer;
use crate::header::text;
use crate::headers::Header;
use crate::request_code::RequestCode;

/// Bytes of a header that is not long.
const USUAL_HEADER: usize = 512;

impl RemotingCommand {
    /// The whole frame of a request of Remora's own to a broker: what
    /// [`request`](Self::request) with that header and body is, without a copy of each field.
    ///
    /// The header is binary, which both sides write and read in a fraction of the time of JSON,
    /// unless that form cannot say it: it has 16 bits for the code, which those of POP exceed, and
    /// readers take an empty value for none (`RocketMQSerializable.readStr`).
    #[must_use]
    pub fn request_frame<'a>(code: RequestCode, header: &impl Header<'a>, body: &[u8]) -> Bytes {
        let request = Self::request(code);
        let mut out = Vec::with_capacity(USUAL_HEADER + body.len());
        out.extend_from_slice(&[0; FRAME_PREFIX]);
        let is_short = i16::try_from(code.0).is_ok();
        let serialize_type = match is_short && request.encode_binary_of(header, &mut out) {
            true => SerializeType::RocketMq,
            false => {
                out.truncate(FRAME_PREFIX);
                request.encode_json_of(header, &mut out);
                SerializeType::Json
            }
        };
        let header = out.len() - FRAME_PREFIX;
        out.extend_from_slice(body);
        encode_prefix(&mut out, serialize_type, header);
        out.into()
    }

    /// Writes the binary header with these ext fields. False if one of them is empty.
    fn encode_binary_of<'a>(&self, header: &impl Header<'a>, out: &mut Vec<u8>) -> bool {
        self.encode_binary_head(out);
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        let mut has_empty = false;
        header.visit(&mut |name, value| {
            has_empty |= value.is_empty();
            encode_ext_field(name, value, out);
        });
        let length = (out.len() - length_at - 4) as u32;
        if let Some(place) = out.get_mut(length_at..length_at + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        !has_empty
    }

    /// Writes the header in JSON with these ext fields.
    fn encode_json_of<'a>(&self, header: &impl Header<'a>, out: &mut Vec<u8>) {
        let mut writer = Writer::new(self.code, out);
        header.visit(&mut |name, value| {
            writer.ext_field(|out| text::write(name, out), |out| text::write(value, out));
        });
        let remark = None::<fn(&mut Vec<u8>)>;
        writer.end(
            self.flag,
            self.language,
            self.opaque.0,
            remark,
            self.version,
        );
    }

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
        self.encode_binary_head(out);
        let fields = self.ext_fields.iter();
        encode_ext_fields(fields.map(|(key, value)| (&**key, &**value)), out);
    }

    /// What precedes the ext fields.
    fn encode_binary_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.code as i16).to_be_bytes());
        out.push(self.language.0);
        out.extend_from_slice(&(self.version.0 as i16).to_be_bytes());
        out.extend_from_slice(&self.opaque.0.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes());
        let remark = self.remark.as_deref().unwrap_or_default();
        out.extend_from_slice(&(remark.len() as i32).to_be_bytes());
        out.extend_from_slice(remark.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::ConsumerSendMsgBackRequest;

    #[test]
    fn a_frame_is_what_the_command_would_be() {
        let header = |origin_msg_id: &'static str| ConsumerSendMsgBackRequest {
            broker: Some("broker-a".into()),
            offset: 7,
            group: "g".into(),
            delay_level: -1,
            origin_msg_id: Some(origin_msg_id.into()),
            origin_topic: None,
            unit_mode: Some(false),
            max_reconsume_times: Some(0),
        };
        let short = RequestCode::CONSUMER_SEND_MSG_BACK;
        for (code, id, serialize_type) in [
            (short, "id \u{e9}", SerializeType::RocketMq),
            (short, "", SerializeType::Json),
            // 16 bits have no room for it.
            (RequestCode::POP_MESSAGE, "\"id\"", SerializeType::Json),
        ] {
            let command = RemotingCommand {
                serialize_type,
                ..RemotingCommand::request(code)
                    .with_header(&header(id))
                    .with_body("body")
            };
            let frame = RemotingCommand::request_frame(code, &header(id), b"body");
            assert_eq!(frame, command.to_bytes());
            assert_eq!(RemotingCommand::decode(&frame), Ok(command));
        }
    }
}
