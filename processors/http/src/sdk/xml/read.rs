//! Reading a document.

use std::borrow::Cow;

use quick_xml::events::{BytesRef, Event};

use super::super::error::shown;
use super::text::{is_text, is_valid};

/// Why a document is not read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}, at byte {at}")]
pub struct XmlError {
    /// What is wrong, in one line.
    pub what: Cow<'static, str>,
    /// Where, about: bytes from the start.
    pub at: u64,
}

/// The text of an element, not copied unless it is in several pieces: with references, or with
/// sections of CDATA among it.
pub type Text<'a> = Cow<'a, str>;

/// An element in the root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    /// Its name, if it is a known one.
    pub name: Option<&'static str>,
    /// Its text. White space stays, line ends included.
    pub text: Text<'a>,
}

/// What a reader expects.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The root's name.
    pub root: &'static str,
    /// The names of elements in it. Others are read, and their names are not.
    pub known: &'static [&'static str],
    /// Most elements in the root, others included.
    pub fields: usize,
}

/// How a part of the reading has ended.
#[derive(Debug, Eq, PartialEq)]
pub enum Step<'a> {
    /// An element was read.
    Field(Field<'a>),
    /// The document has ended.
    End,
    /// The work that was allowed is done; read on.
    Pause,
}

/// Work in which a release build takes less than a millisecond.
pub const WORK: usize = 4096;

/// Reads a document with one root, in which are elements with nothing but text, by names without
/// their prefixes: SDKs disagree on the namespace. Attributes are ignored.
///
/// There is no recursion; nothing outside of the document is read; a document type, and with it
/// every entity that is not XML's own, is refused.
#[derive(Debug)]
pub struct Reader<'a> {
    xml: quick_xml::Reader<&'a [u8]>,
    limits: Limits,
    place: Place<'a>,
    fields: usize,
}

/// Where in the document a reader is.
#[derive(Debug)]
enum Place<'a> {
    /// At its first byte.
    Start,
    /// Before the root.
    Prolog,
    /// In the root, between elements.
    Root,
    /// In an element.
    Field(Field<'a>),
    /// Behind the root.
    End,
}

impl<'a> Reader<'a> {
    /// A reader of this document, which is UTF-8.
    #[must_use]
    pub fn new(document: &'a [u8], limits: Limits) -> Self {
        Self {
            xml: quick_xml::Reader::from_reader(document),
            limits,
            place: Place::Start,
            fields: 0,
        }
    }

    /// Reads to the end of the next element, or less if that is more than this amount of work: a
    /// document may have a million pieces. See [`WORK`].
    ///
    /// # Errors
    /// When the document is malformed, or another. Do not read on then.
    pub fn next(&mut self, work: usize) -> Result<Step<'a>, XmlError> {
        let mut left = work;
        while left > 0 {
            let before = self.xml.buffer_position();
            let event = self.xml.read_event();
            let event = event.map_err(|e| self.malformed(&e.to_string()))?;
            let read = self.xml.buffer_position().saturating_sub(before);
            left = left.saturating_sub(1 + (read >> 10) as usize);
            if matches!(event, Event::Eof) {
                return self.end();
            }
            if let Some(field) = self.take(event)? {
                return Ok(Step::Field(field));
            }
        }
        Ok(Step::Pause)
    }

    fn end(&self) -> Result<Step<'a>, XmlError> {
        match self.place {
            Place::End => Ok(Step::End),
            _ => Err(self.error("the document ends too early")),
        }
    }

    /// Takes an event, which may complete an element.
    fn take(&mut self, event: Event<'a>) -> Result<Option<Field<'a>>, XmlError> {
        let is_start = matches!(self.place, Place::Start);
        if is_start {
            self.place = Place::Prolog;
        }
        match event {
            Event::Start(start) => {
                self.open(start.local_name().as_ref())?;
                Ok(None)
            }
            Event::Empty(start) => {
                self.open(start.local_name().as_ref())?;
                Ok(self.close())
            }
            Event::End(_) => Ok(self.close()),
            Event::Text(text) => {
                self.add(text.into_inner(), false)?;
                Ok(None)
            }
            Event::CData(text) => {
                self.add(text.into_inner(), true)?;
                Ok(None)
            }
            Event::GeneralRef(reference) => {
                self.add_reference(&reference)?;
                Ok(None)
            }
            Event::Decl(declaration) if is_start => {
                let encoding = declaration.encoding().transpose();
                let encoding = encoding.map_err(|e| self.malformed(&e.to_string()))?;
                match encoding.as_deref() {
                    None => Ok(None),
                    Some(name) if name.eq_ignore_ascii_case("utf-8") => Ok(None),
                    Some(_) => Err(self.error("the document has another encoding than UTF-8")),
                }
            }
            Event::Decl(_) => Err(self.error("the XML declaration is not at the start")),
            Event::DocType(_) => Err(self.error("a document type is not allowed")),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(None),
        }
    }

    fn open(&mut self, name: &str) -> Result<(), XmlError> {
        match &self.place {
            Place::Start | Place::Prolog => {
                if name != self.limits.root {
                    let root = self.limits.root;
                    return Err(self.error(format!("the document's element is not {root}")));
                }
                self.place = Place::Root;
            }
            Place::Root => {
                self.fields += 1;
                if self.fields > self.limits.fields {
                    let most = self.limits.fields;
                    return Err(self.error(format!("there are more than {most} elements")));
                }
                let mut known = self.limits.known.iter();
                self.place = Place::Field(Field {
                    name: known.find(|known| **known == name).copied(),
                    text: Cow::Borrowed(""),
                });
            }
            Place::Field(_) => return Err(self.error("an element has further elements in it")),
            Place::End => return Err(self.error("there is a second document")),
        }
        Ok(())
    }

    /// Ends an element: the one in the root, or the root. The parser has compared the names.
    fn close(&mut self) -> Option<Field<'a>> {
        match std::mem::replace(&mut self.place, Place::Root) {
            Place::Field(field) => Some(field),
            _ => {
                self.place = Place::End;
                None
            }
        }
    }

    /// Adds a piece of text.
    fn add(&mut self, piece: Text<'a>, is_section: bool) -> Result<(), XmlError> {
        let Place::Field(field) = &mut self.place else {
            let is_space = piece.bytes().all(|byte| b" \t\r\n".contains(&byte));
            return match is_space && !is_section {
                true => Ok(()),
                false => Err(self.error("there is text between elements")),
            };
        };
        if !is_text(&piece) {
            return Err(self.error(NO_CHARACTER));
        }
        match field.text.is_empty() {
            true => field.text = piece,
            false => field.text.to_mut().push_str(&piece),
        }
        Ok(())
    }

    fn add_reference(&mut self, reference: &BytesRef<'_>) -> Result<(), XmlError> {
        let sign = match reference.resolve_char_ref() {
            Ok(Some(sign)) => sign,
            Ok(None) => match &**reference {
                "amp" => '&',
                "apos" => '\'',
                "gt" => '>',
                "lt" => '<',
                "quot" => '"',
                _ => return Err(self.error("there is an entity that is not XML's own")),
            },
            Err(_) => return Err(self.error(NO_CHARACTER)),
        };
        if !is_valid(sign) {
            return Err(self.error(NO_CHARACTER));
        }
        match &mut self.place {
            Place::Field(field) => {
                field.text.to_mut().push(sign);
                Ok(())
            }
            _ => Err(self.error("there is text between elements")),
        }
    }

    fn error(&self, what: impl Into<Cow<'static, str>>) -> XmlError {
        XmlError {
            what: what.into(),
            at: self.xml.buffer_position(),
        }
    }

    /// With the parser's words, which may have some of the document in them.
    fn malformed(&self, why: &str) -> XmlError {
        XmlError {
            what: Cow::Owned(format!("the document is malformed: {}", shown(why))),
            at: self.xml.error_position(),
        }
    }
}

const NO_CHARACTER: &str =
    "there is a character that XML does not allow: encode the body in base64";

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
