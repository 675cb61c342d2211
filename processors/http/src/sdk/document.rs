//! The bodies of requests.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::error::{Code, SdkError, shown};
use super::properties::{BodyEncoding, Properties};
use super::xml::{Limits, Reader, Step, Text, XmlError};

/// Most receipt handles of a request. A consumption hands out 16 at most.
pub const MOST_HANDLES: usize = 64;
/// Most bytes of a document with receipt handles.
pub const LONGEST_OF_HANDLES: usize = 128 << 10;

impl From<XmlError> for SdkError {
    fn from(error: XmlError) -> Self {
        Self::new(Code::MalformedXml, error.to_string())
    }
}

/// Reads the document of a message to publish.
#[derive(Debug)]
pub struct MessageReader<'a> {
    reader: Reader<'a>,
    body: Option<Text<'a>>,
    tag: Option<Text<'a>>,
    properties: Option<Text<'a>>,
}

/// A message to publish, as it is in its document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Published<'a> {
    /// The text of `MessageBody`.
    pub body: Text<'a>,
    /// Its tag; `None` if it is absent or empty. Not yet checked.
    pub tag: Option<Text<'a>>,
    /// The text of `Properties`.
    pub properties: Text<'a>,
}

const BODY: &str = "MessageBody";
const TAG: &str = "MessageTag";
const PROPERTIES: &str = "Properties";

impl<'a> MessageReader<'a> {
    /// A reader of this document.
    #[must_use]
    pub fn new(document: &'a [u8]) -> Self {
        /// The three, and a few that a later version may have.
        const FIELDS: usize = 16;
        let limits = Limits {
            root: "Message",
            known: &[BODY, TAG, PROPERTIES],
            fields: FIELDS,
        };
        Self {
            reader: Reader::new(document, limits),
            body: None,
            tag: None,
            properties: None,
        }
    }

    /// Reads on, for this amount of [work](super::xml::WORK); `None` when there is more to do.
    ///
    /// # Errors
    /// `MalformedXML` when the document is malformed, has no body, or an element twice;
    /// `InvalidArgument` when the body is empty.
    pub fn next(&mut self, work: usize) -> Result<Option<Published<'a>>, SdkError> {
        loop {
            let field = match self.reader.next(work)? {
                Step::Pause => return Ok(None),
                Step::End => return self.end().map(Some),
                Step::Field(field) => field,
            };
            let (name, place) = match field.name {
                Some(BODY) => (BODY, &mut self.body),
                Some(TAG) => (TAG, &mut self.tag),
                Some(PROPERTIES) => (PROPERTIES, &mut self.properties),
                _ => continue,
            };
            if place.replace(field.text).is_some() {
                let message = format!("the element {name} is there twice");
                return Err(SdkError::new(Code::MalformedXml, message));
            }
        }
    }

    fn end(&mut self) -> Result<Published<'a>, SdkError> {
        let body = self.body.take().ok_or_else(|| {
            SdkError::new(Code::MalformedXml, "the element MessageBody is missing")
        })?;
        if body.is_empty() {
            let message = "the message has no body: send one";
            return Err(SdkError::new(Code::InvalidArgument, message));
        }
        Ok(Published {
            body,
            tag: self.tag.take().filter(|tag| !tag.is_empty()),
            properties: self.properties.take().unwrap_or_default(),
        })
    }
}

impl Published<'_> {
    /// The bytes to store, which share the document's memory where the body is in one piece.
    ///
    /// # Errors
    /// `InvalidArgument` when the properties say that the body is base64, and it is not, or that it
    /// is empty: no client of RocketMQ sends such a message.
    pub fn stored(&self, document: &Bytes, properties: &Properties<'_>) -> Result<Bytes, SdkError> {
        let message = match properties.body_encoding {
            None => {
                return Ok(match &self.body {
                    Cow::Borrowed(body) => share(document, body.as_bytes()),
                    Cow::Owned(body) => Bytes::copy_from_slice(body.as_bytes()),
                });
            }
            // Never read: a producer cannot send it.
            Some(BodyEncoding::Compressed(_)) => "the body is compressed: send it as it is",
            Some(BodyEncoding::Base64) => match STANDARD.decode(&*self.body) {
                Ok(body) if !body.is_empty() => return Ok(body.into()),
                _ => "the body is not base64, as the property __BODY_ENCODING says",
            },
            Some(BodyEncoding::Empty) => "the message has no body: send one",
        };
        Err(SdkError::new(Code::InvalidArgument, message))
    }
}

/// These bytes as a part of the document, if they are one.
fn share(document: &Bytes, part: &[u8]) -> Bytes {
    let (start, end) = (
        document.as_ptr() as usize,
        part.as_ptr() as usize + part.len(),
    );
    let is_part = part.as_ptr() as usize >= start && end <= start + document.len();
    match is_part {
        true => document.slice_ref(part),
        false => Bytes::copy_from_slice(part),
    }
}

/// Reads a document with receipt handles, of [`LONGEST_OF_HANDLES`] at most. They are in the order
/// of the document, each once.
///
/// # Errors
/// `MalformedXML` when the document is malformed, too long or has other elements;
/// `MissingReceiptHandle` when there is none, or an empty one; `InvalidArgument` when there are
/// more than [`MOST_HANDLES`].
pub fn handles(document: &[u8]) -> Result<Vec<Text<'_>>, SdkError> {
    const HANDLE: &str = "ReceiptHandle";
    let malformed = |message: String| SdkError::new(Code::MalformedXml, message);
    if document.len() > LONGEST_OF_HANDLES {
        let message =
            format!("a document of receipt handles has {LONGEST_OF_HANDLES} bytes at most");
        return Err(malformed(message));
    }
    let limits = Limits {
        root: "ReceiptHandles",
        known: &[HANDLE],
        fields: usize::MAX,
    };
    let mut reader = Reader::new(document, limits);
    let mut handles: Vec<Text<'_>> = Vec::new();
    loop {
        let text = match reader.next(usize::MAX)? {
            Step::Field(field) if field.name.is_some() => field.text,
            Step::Field(_) => return Err(malformed(format!("there are others than {HANDLE}"))),
            Step::End | Step::Pause => break,
        };
        if text.is_empty() {
            return Err(missing(
                "a receipt handle is empty: send what the message came with",
            ));
        }
        if !handles.contains(&text) {
            handles.push(text);
        }
        if handles.len() > MOST_HANDLES {
            let message = format!("there are more than {MOST_HANDLES} receipt handles");
            return Err(SdkError::new(Code::InvalidArgument, message));
        }
    }
    match handles.is_empty() {
        true => Err(missing("there is no receipt handle")),
        false => Ok(handles),
    }
}

/// Reads a document with the one handle of a half message.
///
/// # Errors
/// As for [`handles`], and `InvalidArgument` when there are several.
pub fn handle(document: &[u8]) -> Result<Text<'_>, SdkError> {
    let mut handles = handles(document)?.into_iter();
    match (handles.next(), handles.next()) {
        (Some(handle), None) => Ok(handle),
        (first, _) => {
            let first = first.unwrap_or_default();
            let message = format!(
                "only one transaction is ended at a time; the first handle is {}",
                shown(&first)
            );
            Err(SdkError::new(Code::InvalidArgument, message))
        }
    }
}

fn missing(message: &'static str) -> SdkError {
    SdkError::new(Code::MissingReceiptHandle, message)
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
