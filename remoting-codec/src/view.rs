//! A borrowed frame with its head read.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Range;

use crate::error::{DecodeError, FrameError};
use crate::ext_fields::ExtFields;
use crate::flag::{FLAG_ONEWAY, FLAG_RESPONSE};
use crate::frame::{DEFAULT_FRAME_LIMIT, FRAME_PREFIX, SerializeType, header_length};
use crate::header::json::LONGEST_OPAQUE;
use crate::header::rewrite::rewrite;
use crate::header::{Head, Span, binary, json, text};
use crate::opaque::{Opaque, UpstreamOpaque};
use crate::request_code::RequestCode;
use crate::response_code::ResponseCode;
use crate::version::{Language, Version};

/// A whole frame, borrowed, with the head of its header read. If the header is not canonical, a
/// rewritten copy of it is kept beside the frame, and all methods use the copy.
///
/// `O` is the type of its opaque: [`Opaque`] in frames from clients, [`UpstreamOpaque`] in frames
/// from brokers and name servers.
#[derive(Clone, Debug)]
pub struct CommandView<'a, O = Opaque> {
    frame: &'a [u8],
    /// In canonical form: part of the frame, unless it was rewritten.
    header: Cow<'a, [u8]>,
    body: Span,
    serialize_type: SerializeType,
    head: Head,
    side: PhantomData<O>,
}

/// A frame from a broker or a name server.
pub type UpstreamView<'a> = CommandView<'a, UpstreamOpaque>;

impl<'a> CommandView<'a> {
    /// Reads the head of a whole frame (see [`crate::frame_length`]) and makes sure that the header
    /// is well formed throughout.
    ///
    /// # Errors
    /// When the header cannot be read: it has none of the forms that brokers accept, or one of the
    /// few accepted forms that decision 0010 lists.
    #[inline]
    pub fn decode(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let mut view = Self::undecoded(frame)?;
        view.read_header()?;
        Ok(view)
    }
}

impl<'a> CommandView<'a, UpstreamOpaque> {
    /// As [`CommandView::decode`], for the answer of a broker or a name server to a call of
    /// Remora's own.
    ///
    /// # Errors
    /// As [`CommandView::decode`].
    pub fn decode_answer(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let mut view = Self::undecoded(frame)?;
        view.read_header()?;
        Ok(view)
    }

    /// The same for a frame from a broker or a name server, which are trusted to write valid JSON:
    /// of an answer in the usual form, only the head is read. Its ext fields are found when a
    /// caller reads them.
    ///
    /// # Errors
    /// As [`CommandView::decode`].
    #[inline]
    pub fn decode_upstream(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let mut view = Self::undecoded(frame)?;
        if view.serialize_type == SerializeType::Json {
            if json::decode_answer(&view.header, &mut view.head).is_some() {
                return Ok(view);
            }
            view.head = Head::new(view.header.len());
        }
        view.read_header()?;
        Ok(view)
    }
}

impl<'a, O> CommandView<'a, O> {
    #[inline]
    fn undecoded(frame: &'a [u8]) -> Result<Self, FrameError> {
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
        Ok(Self {
            frame,
            header: Cow::Borrowed(header),
            body: Span::new(FRAME_PREFIX + header.len(), frame.len()),
            serialize_type: SerializeType::from_byte(serialize_type)?,
            head: Head::new(header.len()),
            side: PhantomData,
        })
    }

    #[inline]
    fn read_header(&mut self) -> Result<(), DecodeError> {
        let Cow::Borrowed(header) = self.header else {
            return Ok(());
        };
        let canonical = match self.serialize_type {
            SerializeType::Json => json::decode(header, false, &mut self.head),
            SerializeType::RocketMq => binary::decode(header, &mut self.head),
        };
        match canonical {
            Some(()) => Ok(()),
            None => self.rewrite(header),
        }
    }

    /// Replaces a header that is not canonical by one that is.
    #[cold]
    fn rewrite(&mut self, original: &[u8]) -> Result<(), DecodeError> {
        let rewritten = rewrite(original, self.serialize_type)?;
        let header = rewritten.header;
        self.head = Head::new(header.len());
        let canonical = match self.serialize_type {
            SerializeType::Json => json::decode(&header, true, &mut self.head),
            SerializeType::RocketMq => binary::decode(&header, &mut self.head),
        };
        // Only canonical headers are forwarded, even if the writer has an error.
        canonical.ok_or(DecodeError::Malformed(0))?;
        // The body starts where the reader of the header stopped; its length is that of the frame.
        let start = FRAME_PREFIX + rewritten.consumed;
        self.body = Span::new(start, start + self.body.len());
        self.header = Cow::Owned(header);
        // Brokers refuse longer frames; a rewritten header may be longer than the original.
        let length = self.longest();
        if length > self.frame.len().max(DEFAULT_FRAME_LIMIT) {
            return Err(FrameError::TooLong {
                length: length as u64,
                limit: DEFAULT_FRAME_LIMIT,
            }
            .into());
        }
        Ok(())
    }

    /// Whether the header arrived in the canonical form, so that it is forwarded unchanged.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        matches!(self.header, Cow::Borrowed(_))
    }

    /// Most bytes that the frame has when it is written with another opaque.
    #[must_use]
    pub fn longest(&self) -> usize {
        let opaque = match self.serialize_type {
            SerializeType::Json => LONGEST_OPAQUE - self.head.opaque_at.len(),
            SerializeType::RocketMq => 0,
        };
        FRAME_PREFIX + self.header.len() + self.body.len() + opaque
    }

    /// The request code, or the response code's number. A POP code that a binary header truncated
    /// to 16 bits is restored.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.head.code
    }

    /// [`Self::code`] of a request. Codes without a name here are kept.
    #[must_use]
    pub fn request_code(&self) -> RequestCode {
        RequestCode(self.head.code)
    }

    /// [`Self::code`] of a response. Codes without a name here are kept.
    #[must_use]
    pub fn response_code(&self) -> ResponseCode {
        ResponseCode(self.head.code)
    }

    /// Whether the response code is SUCCESS.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.response_code() == ResponseCode::SUCCESS
    }

    /// The language that the sender declares; Java if it declares none.
    #[must_use]
    pub fn language(&self) -> Language {
        self.head.language
    }

    /// The version that the sender declares; 0 if it declares none.
    #[must_use]
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// Ties a response to its request, within one connection and direction.
    #[must_use]
    pub fn opaque(&self) -> O
    where
        O: From<i32>,
    {
        self.head.opaque.into()
    }

    /// The flag's bits, known ones and others.
    #[must_use]
    pub fn flag(&self) -> i32 {
        self.head.flag
    }

    /// Whether [`FLAG_RESPONSE`] is set: the frame is an answer, not a request.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.head.flag & FLAG_RESPONSE != 0
    }

    /// Whether the sender expects no response.
    #[must_use]
    pub fn is_oneway(&self) -> bool {
        self.head.flag & FLAG_ONEWAY != 0
    }

    /// How the header is written.
    #[must_use]
    pub fn serialize_type(&self) -> SerializeType {
        self.serialize_type
    }

    /// An explanation for people, mostly of an error; empty when there is none.
    #[must_use]
    pub fn remark(&self) -> Cow<'_, str> {
        let raw = std::str::from_utf8(self.head.remark.of(&self.header)).unwrap_or_default();
        if self.serialize_type == SerializeType::Json && raw.contains('\\') {
            Cow::Owned(text::unescape(raw))
        } else {
            Cow::Borrowed(raw)
        }
    }

    /// The fields that depend on the code.
    #[must_use]
    pub fn ext_fields(&self) -> ExtFields<'_> {
        ExtFields {
            header: &self.header,
            head: &self.head,
            serialize_type: self.serialize_type,
        }
    }

    /// The bytes after the header.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.frame.get(self.body_range()).unwrap_or_default()
    }

    /// The range of the body in the frame. It does not reach the frame's end if a binary header has
    /// more bytes than a broker reads of it.
    #[must_use]
    pub fn body_range(&self) -> Range<usize> {
        self.body.start as usize..self.body.end as usize
    }

    /// The frame as it arrived, its length included, even if the header was rewritten.
    #[must_use]
    pub fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// Writes everything before the body with another opaque; a [canonical](Self::is_canonical)
    /// header is otherwise unchanged. Followed by the body, it is the whole frame.
    #[inline]
    pub fn encode_head_with_opaque(&self, opaque: impl Into<i32>, out: &mut Vec<u8>) {
        let opaque = opaque.into();
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
        let header: &[u8] = &self.header;
        let length = header.len() - at.len() + text.len();
        let total = FRAME_PREFIX - 4 + length + self.body.len();
        let word = (u32::from(self.serialize_type as u8) << 24) | length as u32;
        let prefix = (total as u64) << 32 | u64::from(word);
        let (before, after) = (
            header.get(..at.start as usize),
            header.get(at.end as usize..),
        );
        out.reserve(FRAME_PREFIX + length);
        out.extend_from_slice(&prefix.to_be_bytes());
        out.extend_from_slice(before.unwrap_or_default());
        out.extend_from_slice(text);
        out.extend_from_slice(after.unwrap_or_default());
    }
}
