//! A command that Remora makes itself.

mod encode;

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::DecodeError;
use crate::flag::{FLAG_ONEWAY, FLAG_RESPONSE};
use crate::frame::{FRAME_PREFIX, SerializeType, encode_prefix};
use crate::headers::Header;
use crate::opaque::Opaque;
use crate::request_code::RequestCode;
use crate::response_code::ResponseCode;
use crate::version::{Language, Version};
use crate::view::CommandView;

/// A request or response that owns its contents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemotingCommand {
    /// Request code, or response code.
    pub code: i32,
    /// The language of the sender's client library.
    pub language: Language,
    /// The sender's version.
    pub version: Version,
    /// Ties a response to its request. A request of Remora's own gets another opaque when it is
    /// sent upstream.
    pub opaque: Opaque,
    /// [`FLAG_RESPONSE`], [`FLAG_ONEWAY`].
    pub flag: i32,
    /// An explanation for people, mostly of an error.
    pub remark: Option<Cow<'static, str>>,
    /// The fields that depend on the code, in the order in which they are written. They are few, so
    /// a look-up is a linear search.
    pub ext_fields: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// The bytes after the header.
    pub body: Bytes,
    /// How the header is written.
    pub serialize_type: SerializeType,
}

impl RemotingCommand {
    /// A request of Remora's own, in JSON, which every broker and name server reads. It declares
    /// the language Java: older brokers and name servers have no code for Rust.
    #[must_use]
    pub fn request(code: RequestCode) -> Self {
        Self {
            code: code.0,
            language: Language::JAVA,
            version: Version::V5_5_0,
            opaque: Opaque::default(),
            flag: 0,
            remark: None,
            ext_fields: Vec::new(),
            body: Bytes::new(),
            serialize_type: SerializeType::Json,
        }
    }

    /// A response of Remora's own to a request with that opaque and serialization.
    #[must_use]
    pub fn response(
        code: ResponseCode,
        opaque: impl Into<Opaque>,
        serialize_type: SerializeType,
    ) -> Self {
        Self {
            code: code.0,
            opaque: opaque.into(),
            flag: FLAG_RESPONSE,
            serialize_type,
            ..Self::request(RequestCode(0))
        }
    }

    /// Sets the remark, in place of an earlier one.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<Cow<'static, str>>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// With one more ext field.
    #[must_use]
    pub fn with_field(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.ext_fields.push((name.into(), value.into()));
        self
    }

    /// With the fields of a typed header, after those that are there already.
    #[must_use]
    pub fn with_header<'a>(mut self, header: &impl Header<'a>) -> Self {
        header.visit(&mut |name, value| {
            let field = (Cow::Borrowed(name), Cow::Owned(value.to_owned()));
            self.ext_fields.push(field);
        });
        self
    }

    /// Sets the body, in place of an earlier one.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// As a one-way request: no response is sent.
    #[must_use]
    pub fn oneway(mut self) -> Self {
        self.flag |= FLAG_ONEWAY;
        self
    }

    /// [`Self::code`] of a response. Codes without a name here are kept.
    #[must_use]
    pub fn response_code(&self) -> ResponseCode {
        ResponseCode(self.code)
    }

    /// Whether the response code is SUCCESS.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.response_code() == ResponseCode::SUCCESS
    }

    /// The value of an ext field; the last one if there are several.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.ext_fields.iter().rev();
        fields
            .find(|(key, _)| key == name)
            .map(|(_, value)| &**value)
    }

    /// Reads a whole frame into an owned command. Null ext fields are left out.
    ///
    /// # Errors
    /// As [`CommandView::decode`].
    pub fn decode(frame: &Bytes) -> Result<Self, DecodeError> {
        let view = CommandView::decode(frame)?;
        let mut ext_fields = Vec::new();
        view.ext_fields().visit(|key, value| {
            ext_fields.push((
                Cow::Owned(key.to_owned()),
                Cow::Owned(value.text().into_owned()),
            ));
        });
        let remark = view.remark();
        Ok(Self {
            code: view.code(),
            language: view.language(),
            version: view.version(),
            opaque: view.opaque(),
            flag: view.flag(),
            remark: (!remark.is_empty()).then(|| Cow::Owned(remark.into_owned())),
            ext_fields,
            body: frame.slice(view.body_range()),
            serialize_type: view.serialize_type(),
        })
    }

    /// Appends the whole frame to `out`: its length, the header's length, the header and the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; FRAME_PREFIX]);
        match self.serialize_type {
            SerializeType::Json => self.encode_json(out),
            SerializeType::RocketMq => self.encode_binary(out),
        }
        let header = out.len() - start - FRAME_PREFIX;
        out.extend_from_slice(&self.body);
        if let Some(frame) = out.get_mut(start..) {
            encode_prefix(frame, self.serialize_type, header);
        }
    }

    /// The whole frame, as [`Self::encode`] writes it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.encode(&mut out);
        out.into()
    }
}
