//! Frames as they are on the wire, written and read without Remora's codec.

use std::{fmt::Display, io};

use bytes::{Buf, Bytes, BytesMut};
use remoting_codec::RequestCode;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What marks a response.
const RESPONSE: i32 = 1;
/// What marks a request that wants no answer.
const ONEWAY: i32 = 2;

/// A request that is not yet numbered.
#[derive(Clone, Debug, Default)]
pub struct Request {
    code: i32,
    flag: i32,
    fields: Vec<(String, String)>,
    body: Bytes,
}

impl Request {
    /// A request without fields and body.
    #[must_use]
    pub fn new(code: RequestCode) -> Self {
        Self {
            code: code.0,
            ..Self::default()
        }
    }

    /// An answer.
    #[must_use]
    pub fn response(code: i32) -> Self {
        Self {
            code,
            flag: RESPONSE,
            ..Self::default()
        }
    }

    /// Sets an ext field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Display) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds an ext field that is not there yet; for those of which there are thousands.
    #[must_use]
    pub fn field_unchecked(mut self, name: impl Into<String>, value: &str) -> Self {
        self.fields.push((name.into(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same as one that wants no answer.
    #[must_use]
    pub fn oneway(mut self) -> Self {
        self.flag |= ONEWAY;
        self
    }

    /// Its ext fields.
    #[must_use]
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// The frame with this number, with a JSON header as Java writes it.
    #[must_use]
    pub fn to_frame(&self, opaque: i32) -> Vec<u8> {
        self.to_frame_with(opaque, &[])
    }

    /// The same with further members of the header, as JSON text; they replace those of the same
    /// name.
    #[must_use]
    pub fn to_frame_with(&self, opaque: i32, members: &[(&str, &str)]) -> Vec<u8> {
        let fields: Map<String, Value> = self
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let mut all = vec![
            ("code", self.code.to_string()),
            ("extFields", Value::Object(fields).to_string()),
            ("flag", self.flag.to_string()),
            ("language", "\"JAVA\"".to_owned()),
            ("opaque", opaque.to_string()),
            ("serializeTypeCurrentRPC", "\"JSON\"".to_owned()),
            ("version", "493".to_owned()),
        ];
        for (name, value) in members {
            all.retain(|(known, _)| known != name);
            all.push((name, (*value).to_owned()));
        }
        let members: Vec<String> = all
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        frame(
            0,
            format!("{{{}}}", members.join(",")).as_bytes(),
            &self.body,
        )
    }

    /// The frame with a binary header, and `trailing` between its last ext field and its end.
    #[must_use]
    pub fn to_binary_frame(&self, opaque: i32, trailing: &[u8]) -> Vec<u8> {
        let mut fields = Vec::new();
        for (name, value) in &self.fields {
            fields.extend((name.len() as u16).to_be_bytes());
            fields.extend(name.as_bytes());
            fields.extend((value.len() as u32).to_be_bytes());
            fields.extend(value.as_bytes());
        }
        let mut header = (self.code as u16).to_be_bytes().to_vec();
        // JAVA, and the same version as above.
        header.push(0);
        header.extend(493_u16.to_be_bytes());
        header.extend(opaque.to_be_bytes());
        header.extend(self.flag.to_be_bytes());
        header.extend(0_u32.to_be_bytes());
        header.extend((fields.len() as u32).to_be_bytes());
        header.extend(fields);
        header.extend(trailing);
        frame(1, &header, &self.body)
    }
}

/// A frame of these parts.
#[must_use]
pub fn frame(serialize_type: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(8 + header.len() + body.len());
    frame.extend((4 + header.len() as u32 + body.len() as u32).to_be_bytes());
    frame.extend((u32::from(serialize_type) << 24 | header.len() as u32).to_be_bytes());
    frame.extend(header);
    frame.extend(body);
    frame
}

/// A frame that has arrived, read as a broker reads it.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// What is asked, or how it was answered.
    pub code: i32,
    /// What kind of frame it is.
    pub flag: i32,
    /// Its number.
    pub opaque: i32,
    /// The ext fields.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Frame {
    /// Whether it is an answer.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.flag & RESPONSE != 0
    }

    /// Whether it wants no answer.
    #[must_use]
    pub fn is_oneway(&self) -> bool {
        self.flag & ONEWAY != 0
    }

    /// An ext field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// An ext field that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.field(name)?.parse().ok()
    }

    fn decode(mut frame: Bytes) -> io::Result<Self> {
        let broken = |what: &str| io::Error::other(format!("a frame that cannot be read: {what}"));
        if frame.len() < 4 {
            return Err(broken("too short"));
        }
        let word = frame.get_u32();
        let (kind, length) = (word >> 24, (word & 0xff_ffff) as usize);
        if length > frame.len() {
            return Err(broken("header longer than the frame"));
        }
        let body_length = frame.len() - length;
        if kind == 0 {
            let header = frame.split_to(length);
            let mut decoded = from_json(&header).ok_or_else(|| broken("its header"))?;
            decoded.body = frame;
            return Ok(decoded);
        }
        // `RemotingCommand.decode` reads a binary header field by field and the body from there on:
        // what stands behind the last ext field belongs to the body.
        let mut decoded = from_binary(&mut frame).ok_or_else(|| broken("its binary header"))?;
        decoded.body = frame.slice(..body_length.min(frame.len()));
        Ok(decoded)
    }
}

fn from_json(header: &[u8]) -> Option<Frame> {
    let Value::Object(members) = serde_json::from_slice(header).ok()? else {
        return None;
    };
    // fastjson looks enumerations up by a hash of their bytes; one with multi-byte text in it
    // fails.
    for name in ["language", "serializeTypeCurrentRPC"] {
        if let Some(Value::String(value)) = members.get(name)
            && !value.is_ascii()
        {
            return None;
        }
    }
    let number = |name: &str| match members.get(name) {
        Some(Value::Number(number)) => number.as_i64().and_then(|n| i32::try_from(n).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        None | Some(Value::Null) => Some(0),
        Some(_) => None,
    };
    let fields = match members.get("extFields") {
        Some(Value::Object(fields)) => fields
            .iter()
            .map(|(name, value)| {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                (name.clone(), text)
            })
            .collect(),
        _ => Vec::new(),
    };
    Some(Frame {
        code: number("code")?,
        flag: number("flag")?,
        opaque: number("opaque")?,
        fields,
        body: Bytes::new(),
    })
}

fn from_binary(frame: &mut Bytes) -> Option<Frame> {
    fn text(from: &mut Bytes, length: usize) -> Option<String> {
        (length <= from.len()).then(|| String::from_utf8_lossy(&from.split_to(length)).into_owned())
    }
    let code = i32::from(frame.try_get_i16().ok()?);
    frame.try_get_u8().ok()?;
    frame.try_get_u16().ok()?;
    let opaque = frame.try_get_i32().ok()?;
    let flag = frame.try_get_i32().ok()?;
    let remark = frame.try_get_u32().ok()? as usize;
    text(frame, remark)?;
    let length = frame.try_get_u32().ok()? as usize;
    if length > frame.len() {
        return None;
    }
    let mut rest = frame.split_to(length);
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(rest.try_get_u16().ok()?);
        let name = text(&mut rest, length)?;
        let length = rest.try_get_u32().ok()? as usize;
        fields.push((name, text(&mut rest, length)?));
    }
    Some(Frame {
        code,
        flag,
        opaque,
        fields,
        body: Bytes::new(),
    })
}

/// Whole frames out of a stream.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: BytesMut,
}

impl FrameReader {
    /// The next frame and its length in bytes; `None` when the other side has closed the
    /// connection.
    ///
    /// # Errors
    /// When the connection fails, or what arrives cannot be read.
    pub async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<(Frame, usize)>> {
        loop {
            if let Some(length) = self.buffer.first_chunk::<4>() {
                let length = 4 + u32::from_be_bytes(*length) as usize;
                if self.buffer.len() >= length {
                    let mut frame = self.buffer.split_to(length).freeze();
                    frame.advance(4);
                    return Ok(Some((Frame::decode(frame)?, length)));
                }
                self.buffer.reserve(length - self.buffer.len());
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<Frame> {
        let (frame, length) = FrameReader::default().next(&mut &*bytes).await?.unwrap();
        assert_eq!(length, bytes.len());
        Ok(frame)
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let request = Request::new(RequestCode::SEND_MESSAGE)
            .field("topic", "a\"b")
            .body("body")
            .oneway();
        for bytes in [request.to_frame(7), request.to_binary_frame(7, &[])] {
            let frame = read(&bytes).await.unwrap();
            assert_eq!((frame.code, frame.opaque), (10, 7));
            assert_eq!(frame.field("topic"), Some("a\"b"));
            assert_eq!(&frame.body[..], b"body");
            assert!(frame.is_oneway() && !frame.is_response());
        }
    }

    #[tokio::test]
    async fn it_is_read_as_a_broker_reads_it() {
        let request = Request::new(RequestCode::HEART_BEAT).body("shown!");
        let frame = read(&request.to_binary_frame(1, b"hidden")).await.unwrap();
        assert_eq!(&frame.body[..], b"hidden");
        let unreadable = request.to_frame_with(1, &[("language", "\"é😀\"")]);
        assert!(read(&unreadable).await.is_err());
    }
}
