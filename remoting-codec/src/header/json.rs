//! The JSON header in the canonical form: read in place in one pass.
//!
//! A canonical header is an object of the keys below without white space (C++ ends it with a
//! newline). Each key occurs at most once, and the opaque always. Code, flag, opaque and version
//! are plain 32 bit numbers, the language is one of the known names, the serialization one of the
//! two, and the remark is text. Ext fields are text or, as C++ writes some, plain whole numbers.
//! The readers of all brokers agree on the meaning of such a header.

use super::index::Entry;
use super::scanner::Scanner;
use super::{Head, Span};
use crate::frame::MAX_HEADER;
use crate::version::{Language, Version};

/// Digits and sign of the longest opaque that may replace that of a header.
pub(crate) const LONGEST_OPAQUE: usize = 11;

/// Reads a header; `None` when it is not canonical. A `rewritten` header may have ext fields whose
/// names have escapes.
#[inline]
pub(crate) fn decode(header: &[u8], rewritten: bool, head: &mut Head) -> Option<()> {
    let mut scanner = Scanner::new(header, rewritten);
    scanner.take(b"{\"")?;
    let mut seen = 0_u8;
    loop {
        let key = key(&mut scanner)?;
        if seen & key != 0 {
            return None;
        }
        seen |= key;
        match key {
            CODE => head.code = scanner.int()?,
            FLAG => head.flag = scanner.int()?,
            VERSION => head.version = Version(scanner.int()?),
            OPAQUE => {
                let start = scanner.at();
                head.opaque = scanner.int()?;
                head.opaque_at = Span::new(start, scanner.at());
            }
            LANGUAGE => head.language = language(&mut scanner, header)?,
            EXT_FIELDS => {
                let start = scanner.at();
                scanner.take(b"{")?;
                scanner.ext_fields(|entry| head.index.push(entry))?;
                head.ext_fields = Span::new(start, scanner.at());
            }
            REMARK => {
                scanner.take(b"\"")?;
                head.remark = scanner.string()?.0;
            }
            _ => scanner
                .take(b"\"JSON\"")
                .or_else(|| scanner.take(b"\"ROCKETMQ\""))?,
        }
        match scanner.next()? {
            b',' => scanner.take(b"\"")?,
            b'}' => break,
            _ => return None,
        }
    }
    let is_whole = matches!(scanner.rest(), [] | [b'\n']);
    let has_room = header.len() + LONGEST_OPAQUE <= MAX_HEADER;
    let is_text = !scanner.is_wide() || std::str::from_utf8(header).is_ok();
    (is_whole && has_room && is_text && seen & OPAQUE != 0).then_some(())
}

/// Reads an answer of a broker, as Java writes it, from both ends: the code at the front; flag,
/// language, opaque, serialization and version after the ext fields. The ext fields are not read.
/// `None` when it is not an answer or has another form.
#[inline]
pub(crate) fn decode_answer(header: &[u8], head: &mut Head) -> Option<()> {
    let mut scanner = Scanner::new(header, false);
    scanner.take(b"{\"code\":")?;
    head.code = scanner.int()?;
    let start = scanner.at();
    let rest = header.strip_suffix(b"}")?;
    let (rest, version) = int_behind(rest)?;
    head.version = Version(version);
    let rest = rest.strip_suffix(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":")?;
    let (before, opaque) = int_behind(rest)?;
    head.opaque = opaque;
    head.opaque_at = Span::new(before.len(), rest.len());
    let rest = before.strip_suffix(b",\"language\":\"JAVA\",\"opaque\":")?;
    let (rest, flag) = int_behind(rest)?;
    head.flag = flag;
    let rest = rest.strip_suffix(b",\"flag\":")?;
    if let Some(ext_fields) = rest.get(start..).filter(|between| !between.is_empty()) {
        let object = ext_fields.strip_prefix(b",\"extFields\":")?;
        if !object.starts_with(b"{") || !object.ends_with(b"}") {
            return None;
        }
        head.ext_fields = Span::new(rest.len() - object.len(), rest.len());
        head.index.leave_out();
    }
    let has_room = header.len() + LONGEST_OPAQUE <= MAX_HEADER;
    (has_room && flag & crate::flag::FLAG_RESPONSE != 0 && start <= rest.len()).then_some(())
}

/// The 32 bit number at the end of these bytes, and the bytes before it.
#[inline]
fn int_behind(bytes: &[u8]) -> Option<(&[u8], i32)> {
    let mut rest = bytes;
    let mut number = 0_i64;
    let mut unit = 1_i64;
    while let [before @ .., digit @ b'0'..=b'9'] = rest {
        number += unit * i64::from(digit - b'0');
        // A 32 bit number has at most ten digits.
        unit = (unit < 10_000_000_000).then_some(unit * 10)?;
        rest = before;
    }
    if let [before @ .., b'-'] = rest {
        rest = before;
        number = -number;
    }
    Some((rest, i32::try_from(number).ok().filter(|_| unit > 1)?))
}

const CODE: u8 = 1;
const EXT_FIELDS: u8 = 1 << 1;
const FLAG: u8 = 1 << 2;
const LANGUAGE: u8 = 1 << 3;
const OPAQUE: u8 = 1 << 4;
const REMARK: u8 = 1 << 5;
const SERIALIZE_TYPE: u8 = 1 << 6;
const VERSION: u8 = 1 << 7;

/// The next key, of which the opening quote was read; skips its colon.
#[inline]
fn key(scanner: &mut Scanner<'_>) -> Option<u8> {
    match scanner.rest().first()? {
        b'c' => scanner.take(b"code\":").map(|()| CODE),
        b'e' => scanner.take(b"extFields\":").map(|()| EXT_FIELDS),
        b'f' => scanner.take(b"flag\":").map(|()| FLAG),
        b'l' => scanner.take(b"language\":").map(|()| LANGUAGE),
        b'o' => scanner.take(b"opaque\":").map(|()| OPAQUE),
        b'r' => scanner.take(b"remark\":").map(|()| REMARK),
        b's' => {
            let key = scanner.take(b"serializeTypeCurrentRPC\":");
            key.map(|()| SERIALIZE_TYPE)
        }
        b'v' => scanner.take(b"version\":").map(|()| VERSION),
        _ => None,
    }
}

#[inline]
fn language(scanner: &mut Scanner<'_>, header: &[u8]) -> Option<Language> {
    if scanner.take(b"\"JAVA\"").is_some() {
        return Some(Language::JAVA);
    }
    scanner.take(b"\"")?;
    let (name, _) = scanner.string()?;
    Language::known(name.of(header))
}

/// Calls `each` with every ext field; a key that occurs twice is passed twice. [`decode`] has
/// checked `object`.
pub(crate) fn visit(object: &[u8], each: impl FnMut(Entry)) -> Option<()> {
    let mut scanner = Scanner::new(object, true);
    scanner.take(b"{")?;
    scanner.ext_fields(each)
}

/// Writes a header in the order of its keys.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    has_ext_fields: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(code: i32, out: &'a mut Vec<u8>) -> Self {
        out.extend_from_slice(b"{\"code\":");
        out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
        Self {
            out,
            has_ext_fields: false,
        }
    }

    /// One more ext field, its name and value as they write themselves.
    pub(crate) fn ext_field(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        let before: &[u8] = if self.has_ext_fields {
            b","
        } else {
            b",\"extFields\":{"
        };
        self.has_ext_fields = true;
        self.out.extend_from_slice(before);
        key(self.out);
        self.out.push(b':');
        value(self.out);
    }

    /// Writes the fields that follow the ext fields.
    pub(crate) fn end(
        self,
        flag: i32,
        language: Language,
        opaque: i32,
        remark: Option<impl FnOnce(&mut Vec<u8>)>,
        version: Version,
    ) {
        let out = self.out;
        let mut number = itoa::Buffer::new();
        if self.has_ext_fields {
            out.push(b'}');
        }
        out.extend_from_slice(b",\"flag\":");
        out.extend_from_slice(number.format(flag).as_bytes());
        out.extend_from_slice(b",\"language\":\"");
        out.extend_from_slice(language.name().as_bytes());
        out.extend_from_slice(b"\",\"opaque\":");
        out.extend_from_slice(number.format(opaque).as_bytes());
        if let Some(remark) = remark {
            out.extend_from_slice(b",\"remark\":");
            remark(out);
        }
        out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
        out.extend_from_slice(number.format(version.0).as_bytes());
        out.push(b'}');
    }
}
