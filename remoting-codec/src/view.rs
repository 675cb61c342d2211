//! A frame where it lies.

use std::borrow::Cow;

use crate::error::{DecodeError, FrameError};
use crate::ext_fields::ExtFields;
use crate::frame::{FRAME_PREFIX, SerializeType, header_length};
use crate::header::{Head, binary, json};
use crate::request_code::RequestCode;
use crate::version::{Language, Version};

/// Bit of a header's flag: the frame is a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Bit of a header's flag: nobody waits for a response, not even an error.
pub const FLAG_ONEWAY: i32 = 2;

/// A whole frame, borrowed, with the head of its header read.
#[derive(Clone, Copy, Debug)]
pub struct CommandView<'a> {
    frame: &'a [u8],
    header: &'a [u8],
    serialize_type: SerializeType,
    head: Head,
}

impl<'a> CommandView<'a> {
    /// Reads the head of a whole frame (see [`crate::frame_length`]) and makes sure that the header is
    /// well formed throughout.
    ///
    /// # Errors
    /// When the header cannot be read, or could be read in more than one way.
    pub fn decode(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let (prefix, rest) = frame
            .split_first_chunk::<FRAME_PREFIX>()
            .ok_or(FrameError::TooShort(frame.len() as u64))?;
        let [_, _, _, _, serialize_type, b, c, d] = *prefix;
        let header = header_length([0, b, c, d]);
        let overrun = FrameError::HeaderOverrun {
            header,
            frame: frame.len(),
        };
        let header = rest.get(..header).ok_or(overrun)?;
        let serialize_type = SerializeType::from_byte(serialize_type)?;
        let head = match serialize_type {
            SerializeType::Json => json::decode(header)?,
            SerializeType::RocketMq => binary::decode(header)?,
        };
        Ok(Self {
            frame,
            header,
            serialize_type,
            head,
        })
    }

    /// The request code, or the response code's number; a POP code that a binary header cut short is
    /// whole again.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.head.code
    }

    /// [`Self::code`] as what a request asks for.
    #[must_use]
    pub fn request_code(&self) -> RequestCode {
        RequestCode(self.head.code)
    }

    /// The sender's language.
    #[must_use]
    pub fn language(&self) -> Language {
        self.head.language
    }

    /// The sender's version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// What ties a response to its request, within one connection and direction.
    #[must_use]
    pub fn opaque(&self) -> i32 {
        self.head.opaque
    }

    /// The flag's bits, known ones and others.
    #[must_use]
    pub fn flag(&self) -> i32 {
        self.head.flag
    }

    /// Whether this is a response.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.head.flag & FLAG_RESPONSE != 0
    }

    /// Whether nobody waits for a response.
    #[must_use]
    pub fn is_oneway(&self) -> bool {
        self.head.flag & FLAG_ONEWAY != 0
    }

    /// How the header is written.
    #[must_use]
    pub fn serialize_type(&self) -> SerializeType {
        self.serialize_type
    }

    /// What the sender adds in words; empty when it adds nothing.
    #[must_use]
    pub fn remark(&self) -> Cow<'a, str> {
        let raw = std::str::from_utf8(self.head.remark.of(self.header)).unwrap_or_default();
        if self.serialize_type == SerializeType::Json && raw.contains('\\') {
            Cow::Owned(json::unescape(raw))
        } else {
            Cow::Borrowed(raw)
        }
    }

    /// The fields that depend on the code.
    #[must_use]
    pub fn ext_fields(&self) -> ExtFields<'_> {
        ExtFields {
            header: self.header,
            head: &self.head,
            serialize_type: self.serialize_type,
        }
    }

    /// What follows the header.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.frame.get(self.body_offset()..).unwrap_or_default()
    }

    /// Where in the frame the body begins.
    #[must_use]
    pub fn body_offset(&self) -> usize {
        FRAME_PREFIX + self.header.len()
    }

    /// The frame itself.
    #[must_use]
    pub fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// Writes everything before the body as it came, but for the opaque. With the body after it, that
    /// is the same command under another opaque.
    pub fn encode_head_with_opaque(&self, opaque: i32, out: &mut Vec<u8>) {
        let mut number = itoa::Buffer::new();
        let binary;
        let text: &[u8] = match self.serialize_type {
            SerializeType::Json => number.format(opaque).as_bytes(),
            SerializeType::RocketMq => {
                binary = opaque.to_be_bytes();
                &binary
            }
        };
        let at = self.head.opaque_at;
        let before = self.header.get(..at.start as usize).unwrap_or_default();
        let after = self.header.get(at.end as usize..).unwrap_or_default();
        let header = before.len() + text.len() + after.len();
        let total = FRAME_PREFIX - 4 + header + self.body().len();
        out.reserve(FRAME_PREFIX + header);
        out.extend_from_slice(&(total as u32).to_be_bytes());
        let word = (u32::from(self.serialize_type as u8) << 24) | header as u32;
        out.extend_from_slice(&word.to_be_bytes());
        out.extend_from_slice(before);
        out.extend_from_slice(text);
        out.extend_from_slice(after);
    }
}
