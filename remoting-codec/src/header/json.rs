//! The JSON header: read where it lies, without building anything.
//!
//! The reader is stricter than JSON readers are by habit. A header goes on to a broker over a
//! connection that other clients share, and a broker closes a connection whose header it cannot
//! read, or that it reads differently. So what is not plainly one object of the known keys is refused
//! here, where it costs only its sender.

use memchr::memchr2;

use super::{Head, Span};
use crate::error::{DecodeError, FrameError};
use crate::ext_fields::ExtValue;
use crate::frame::MAX_HEADER;
use crate::version::{Language, Version};

/// How deep a value of no interest may be nested.
const MAX_DEPTH: u8 = 8;

/// Longest number that is read: room for every 64 bit one. Java's JSON reader fails on one of 39
/// digits, and on hundreds behind the point.
const MAX_NUMBER: usize = 32;

/// Most digits of an exponent. Java's JSON reader fails on 2048.
const MAX_EXPONENT: usize = 3;

/// How much of a string is searched for its end byte by byte.
const NEAR: usize = 16;

/// Digits and sign of the longest opaque that a header may get instead of its own.
const LONGEST_OPAQUE: usize = 11;

/// Longest key of no interest. Java's JSON readers know keys by a 64 bit hash alone: a long key can
/// be made up that has the hash of `opaque`, and a broker would then answer somebody else's request.
const MAX_UNKNOWN_KEY: usize = 8;

/// The last language that brokers of 4.9 know by its number; they fail on a greater one.
const MAX_LANGUAGE_NUMBER: u8 = 12;

/// The keys that a reader of the reference fills its fields from.
const KEYS: [&str; 8] = [
    "code",
    "extFields",
    "flag",
    "language",
    "opaque",
    "remark",
    "serializeTypeCurrentRPC",
    "version",
];

/// Reads the head, and makes sure that the rest is well formed.
pub(crate) fn decode(header: &[u8]) -> Result<Head, DecodeError> {
    let text = std::str::from_utf8(header).map_err(|_| DecodeError::NotText)?;
    // Looks at every byte, without a branch: four times as fast as stopping at the first.
    let control = |byte: u8| (byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r');
    if header.iter().fold(false, |any, byte| any | control(*byte)) {
        return Err(DecodeError::NotText);
    }
    let mut head = Head {
        code: 0,
        language: Language::JAVA,
        version: Version(0),
        opaque: 0,
        flag: 0,
        opaque_at: Span::default(),
        remark: Span::default(),
        ext_fields: Span::default(),
    };
    let mut seen = 0_u8;
    let mut reader = Reader { text, at: 0 };
    reader.object(|key, value| {
        let Some(which) = KEYS.iter().position(|known| *known == key) else {
            return if is_harmless(key) {
                Ok(())
            } else {
                Err(ambiguous(key))
            };
        };
        if seen & (1 << which) != 0 {
            return Err(ambiguous(key));
        }
        seen |= 1 << which;
        match key {
            "code" => head.code = value.number("code")?,
            "flag" => head.flag = value.number("flag")?,
            "opaque" => {
                head.opaque = value.number("opaque")?;
                head.opaque_at = value.span;
            }
            "version" => head.version = Version(value.number("version")?),
            "language" => head.language = value.language()?,
            "remark" if value.kind == Kind::Text => head.remark = value.span,
            "extFields" => match value.kind {
                Kind::Object => head.ext_fields = value.span,
                Kind::Null => {}
                _ => return Err(value.malformed()),
            },
            // Not read, a frame has its own type byte; but Java's reader fails on other kinds.
            "serializeTypeCurrentRPC" if !matches!(value.kind, Kind::Text | Kind::Null) => {
                return Err(value.malformed());
            }
            _ => {}
        }
        Ok(())
    })?;
    reader.end()?;
    if head.opaque_at == Span::default() {
        return Err(DecodeError::NotANumber("opaque"));
    }
    let others = header.len() - head.opaque_at.of(header).len();
    if others + LONGEST_OPAQUE > MAX_HEADER {
        return Err(FrameError::HeaderTooLong(header.len()).into());
    }
    Ok(head)
}

/// Calls `each` with every ext field that has a value; a key that comes twice is called twice.
/// `object` is text that [`decode`] has been through.
pub(crate) fn visit<'a>(
    object: &'a [u8],
    mut each: impl FnMut(&'a str, ExtValue<'a>),
) -> Result<(), DecodeError> {
    if object.is_empty() {
        return Ok(());
    }
    let text = std::str::from_utf8(object).map_err(|_| DecodeError::NotText)?;
    Reader { text, at: 0 }.object(|key, value| {
        if value.kind != Kind::Null {
            each(
                key,
                ExtValue {
                    raw: value.text,
                    escaped: value.kind == Kind::Text && value.escaped,
                },
            );
        }
        Ok(())
    })
}

/// Whether a key that is not one of [`KEYS`] is none of them to a broker either. Java's JSON reader
/// takes `Opaque`, `_opaque` and `isOpaque` for `opaque`: such a key would be nothing to us and the
/// opaque to the broker. It also has a `body`, and fails when that is not what it expects.
fn is_harmless(key: &str) -> bool {
    let known = |key: &str| {
        let mut known = KEYS.iter().chain(&["body"]);
        known.any(|known| known.eq_ignore_ascii_case(key))
    };
    let without_is = match key.split_at_checked(2) {
        Some((is, rest)) if is.eq_ignore_ascii_case("is") => rest,
        _ => key,
    };
    key.len() <= MAX_UNKNOWN_KEY
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !known(key)
        && !known(without_is)
}

/// What is said of a key, however long it is.
fn ambiguous(key: &str) -> DecodeError {
    DecodeError::AmbiguousKey(key.chars().take(40).collect())
}

/// What a JSON string stands for.
pub(crate) fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (c, after) = unescape_unicode(chars.as_str());
                out.push(c);
                rest = after;
                continue;
            }
            Some(other) => out.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// The character of a `\u` escape whose four digits are at the front of `rest`, and what follows.
/// Half a surrogate pair becomes U+FFFD.
fn unescape_unicode(rest: &str) -> (char, &str) {
    fn unit(rest: &str) -> Option<(u32, &str)> {
        let (digits, after) = rest.split_at_checked(4)?;
        Some((u32::from_str_radix(digits, 16).ok()?, after))
    }
    let Some((first, rest)) = unit(rest) else {
        return (char::REPLACEMENT_CHARACTER, rest);
    };
    if (0xD800..0xDC00).contains(&first)
        && let Some((second, after)) = rest.strip_prefix("\\u").and_then(unit)
        && (0xDC00..0xE000).contains(&second)
    {
        let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            after,
        );
    }
    (
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        rest,
    )
}

/// Writes the header as Java does: keys in their order, absent ones left out.
pub(crate) fn encode(command: &crate::RemotingCommand, out: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    out.extend_from_slice(b"{\"code\":");
    out.extend_from_slice(number.format(command.code).as_bytes());
    if !command.ext_fields.is_empty() {
        out.extend_from_slice(b",\"extFields\":{");
        for (nth, (key, value)) in command.ext_fields.iter().enumerate() {
            if nth > 0 {
                out.push(b',');
            }
            encode_text(key, out);
            out.push(b':');
            encode_text(value, out);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b",\"flag\":");
    out.extend_from_slice(number.format(command.flag).as_bytes());
    out.extend_from_slice(b",\"language\":\"");
    out.extend_from_slice(command.language.name().as_bytes());
    out.extend_from_slice(b"\",\"opaque\":");
    out.extend_from_slice(number.format(command.opaque).as_bytes());
    if let Some(remark) = &command.remark {
        out.extend_from_slice(b",\"remark\":");
        encode_text(remark, out);
    }
    out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    out.extend_from_slice(number.format(command.version.0).as_bytes());
    out.push(b'}');
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0..0x20 => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    digit(byte >> 4),
                    digit(byte & 15),
                ]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Array,
    Bool,
    Null,
    Number,
    Object,
    Text,
}

struct Value<'a> {
    kind: Kind,
    /// Without its quotes, when it is a string.
    text: &'a str,
    span: Span,
    escaped: bool,
}

impl Value<'_> {
    fn number(&self, key: &'static str) -> Result<i32, DecodeError> {
        if self.kind != Kind::Number {
            return Err(DecodeError::NotANumber(key));
        }
        self.text.parse().map_err(|_| DecodeError::NotANumber(key))
    }

    /// Java writes the name and reads the ordinal too. A name that it does not know is none to it; a
    /// number or anything else that it does not know, it fails on.
    fn language(&self) -> Result<Language, DecodeError> {
        match self.kind {
            Kind::Text => Ok(Language::from_name(self.text)),
            Kind::Null => Ok(Language::JAVA),
            Kind::Number => match self.text.parse() {
                Ok(number @ 0..=MAX_LANGUAGE_NUMBER) => Ok(Language(number)),
                _ => Err(self.malformed()),
            },
            _ => Err(self.malformed()),
        }
    }

    fn malformed(&self) -> DecodeError {
        DecodeError::Malformed(self.span.start as usize)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads one object and calls `each` with its entries.
    fn object(
        &mut self,
        mut each: impl FnMut(&'a str, Value<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let (key, value) = self.entry(0)?;
            each(key, value)?;
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                _ => return Err(self.malformed()),
            }
        }
    }

    /// Nothing but white space may follow the object (C++ ends its header with a newline).
    fn end(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.malformed()),
        }
    }

    /// A key that Java's JSON readers do not all take for the same name is refused wherever it stands.
    /// They stumble over some keys with escapes, and take `@type` and `$ref` for instructions: to build
    /// an object of some class, or to put another part of the header here.
    // Its result is large, so returning it costs: inlined, a header is read in three quarters of the time.
    #[inline(always)]
    fn entry(&mut self, depth: u8) -> Result<(&'a str, Value<'a>), DecodeError> {
        self.expect(b'"')?;
        let (key, escaped) = self.string()?;
        if escaped || matches!(key, "@type" | "$ref") {
            return Err(ambiguous(key));
        }
        self.expect(b':')?;
        Ok((key, self.value(depth)?))
    }

    fn value(&mut self, depth: u8) -> Result<Value<'a>, DecodeError> {
        let first = self.peek().ok_or(DecodeError::Truncated)?;
        let start = self.at;
        let mut escaped = false;
        let kind = match first {
            b'"' => {
                self.at += 1;
                let (text, with_escapes) = self.string()?;
                return Ok(Value {
                    kind: Kind::Text,
                    text,
                    span: Span::new(start + 1, self.at - 1),
                    escaped: with_escapes,
                });
            }
            b'{' => {
                escaped = true;
                self.nested(b'}', depth)?;
                Kind::Object
            }
            b'[' => {
                self.nested(b']', depth)?;
                Kind::Array
            }
            b't' => self.literal("true", Kind::Bool)?,
            b'f' => self.literal("false", Kind::Bool)?,
            b'n' => self.literal("null", Kind::Null)?,
            _ => self.number()?,
        };
        Ok(Value {
            kind,
            text: self.text.get(start..self.at).unwrap_or_default(),
            span: Span::new(start, self.at),
            escaped,
        })
    }

    fn nested(&mut self, close: u8, depth: u8) -> Result<(), DecodeError> {
        if depth >= MAX_DEPTH {
            return Err(self.malformed());
        }
        self.at += 1;
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            if close == b'}' {
                self.entry(depth + 1)?;
            } else {
                self.value(depth + 1)?;
            }
            match self.next()? {
                b',' => {}
                byte if byte == close => return Ok(()),
                _ => return Err(self.malformed()),
            }
        }
    }

    /// The text up to the closing quote, the opening one being behind us, and whether it has escapes.
    // As with `entry`.
    #[inline(always)]
    fn string(&mut self) -> Result<(&'a str, bool), DecodeError> {
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            // Most strings are shorter than it takes to call a search that is made for long ones.
            let (near, far) = rest.split_at(rest.len().min(NEAR));
            let stops = |byte: &u8| matches!(byte, b'"' | b'\\');
            let offset = near
                .iter()
                .position(stops)
                .or_else(|| Some(near.len() + memchr2(b'"', b'\\', far)?))
                .ok_or(DecodeError::Truncated)?;
            self.at += offset + 1;
            if rest.get(offset) == Some(&b'"') {
                let text = self.text.get(start..self.at - 1).unwrap_or_default();
                return Ok((text, escaped));
            }
            escaped = true;
            match rest.get(offset + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u') => {
                    let digits = rest
                        .get(offset + 2..offset + 6)
                        .ok_or(DecodeError::Truncated)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return Err(self.malformed());
                    }
                    self.at += 5;
                }
                Some(_) => return Err(self.malformed()),
                None => return Err(DecodeError::Truncated),
            }
        }
    }

    fn literal(&mut self, literal: &str, kind: Kind) -> Result<Kind, DecodeError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(literal) {
            return Err(self.malformed());
        }
        self.at += literal.len();
        Ok(kind)
    }

    fn number(&mut self) -> Result<Kind, DecodeError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let digits = |bytes: &[u8]| bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        let mut length = usize::from(rest.first() == Some(&b'-'));
        let whole = digits(rest.get(length..).unwrap_or_default());
        let leading_zero = whole > 1 && rest.get(length) == Some(&b'0');
        length += whole;
        let mut fraction = 1;
        if rest.get(length) == Some(&b'.') {
            fraction = digits(rest.get(length + 1..).unwrap_or_default());
            length += 1 + fraction;
        }
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            length += 1;
            length += usize::from(matches!(rest.get(length), Some(b'+' | b'-')));
            let exponent = digits(rest.get(length..).unwrap_or_default());
            if exponent > MAX_EXPONENT {
                return Err(self.malformed());
            }
            fraction = fraction.min(exponent);
            length += exponent;
        }
        if whole == 0 || leading_zero || fraction == 0 || length > MAX_NUMBER {
            return Err(self.malformed());
        }
        self.at += length;
        Ok(Kind::Number)
    }

    /// The next byte that is not white space, left where it is.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn next(&mut self) -> Result<u8, DecodeError> {
        let byte = self.peek().ok_or(DecodeError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), DecodeError> {
        if self.next()? == wanted {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    fn malformed(&self) -> DecodeError {
        DecodeError::Malformed(self.at)
    }
}
