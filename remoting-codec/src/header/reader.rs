//! Reads JSON where it lies, and checks every byte of it.

use super::Span;
use crate::error::DecodeError;

/// How deep a value of no interest may be nested.
const MAX_DEPTH: u8 = 8;

/// Longest number that is read: room for every 64 bit one. Java's JSON reader fails on one of 39
/// digits, and on hundreds behind the point.
const MAX_NUMBER: usize = 32;

/// Most digits of an exponent. Java's JSON reader fails on 2048.
const MAX_EXPONENT: usize = 3;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Array,
    Bool,
    Null,
    Number,
    Object,
    Text,
}

/// A value that was read.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) kind: Kind,
    /// Where it is; without its quotes, when it is a string.
    pub(super) span: Span,
    /// Whether it is a string with escapes.
    pub(super) escaped: bool,
}

impl Value {
    pub(super) fn malformed(&self) -> DecodeError {
        DecodeError::Malformed(self.span.start)
    }
}

/// A bit for each quote and backslash among eight bytes, the first byte's lowest; what stands above the
/// lowest that is set means nothing.
#[inline]
fn stops(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // A byte that is 0 borrows from its high bit; what that does to those above it does not matter.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')))
}

/// What is said of a key.
pub(super) fn ambiguous(key: Span) -> DecodeError {
    DecodeError::AmbiguousKey(key.start)
}

/// Goes through the text from front to back. The end reads as a 0, which no text here has in it.
pub(super) struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Text is UTF-8 without control characters but white space.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotText)?;
        // Looks at every byte, without a branch: four times as fast as stopping at the first.
        let control =
            |byte: u8| (byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r');
        if bytes.iter().fold(false, |any, byte| any | control(*byte)) {
            return Err(DecodeError::NotText);
        }
        Ok(Self { text, bytes, at: 0 })
    }

    /// How far it has come.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Begins an object.
    pub(super) fn open(&mut self) -> Result<(), DecodeError> {
        self.expect(b'{')
    }

    /// Whether that object or array ends where it began.
    pub(super) fn closes(&mut self, close: u8) -> bool {
        let closes = self.peek() == close;
        self.at += usize::from(closes);
        closes
    }

    /// After a value: whether another follows in the object or array that ends with `close`.
    #[inline]
    pub(super) fn goes_on(&mut self, close: u8) -> Result<bool, DecodeError> {
        match self.next()? {
            b',' => Ok(true),
            byte if byte == close => Ok(false),
            _ => Err(self.malformed()),
        }
    }

    /// Nothing but white space may follow the object (C++ ends its header with a newline).
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            0 => Ok(()),
            _ => Err(self.malformed()),
        }
    }

    /// A key and the colon behind it. A key that Java's JSON readers do not all take for the same name is
    /// refused wherever it stands: they stumble over some keys with escapes, and take `@type` and `$ref`
    /// for instructions, to build an object of some class, or to put another part of the header here.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Span, DecodeError> {
        match self.short_key() {
            Some(key) => Ok(key),
            None => self.any_key(),
        }
    }

    /// A key of seven letters at most with nothing around it, as nearly all are: seen in two loads.
    #[inline]
    fn short_key(&mut self) -> Option<Span> {
        let ahead = self.bytes.get(self.at..)?.first_chunk::<16>()?;
        let [quote, first, ..] = *ahead;
        let [_, word @ .., _, _, _, _, _, _, _] = *ahead;
        let stops = stops(u64::from_le_bytes(word));
        if quote != b'"' || stops == 0 || matches!(first, b'@' | b'$') {
            return None;
        }
        let length = (stops.trailing_zeros() / 8) as usize;
        let behind = (ahead.get(length + 1)?, ahead.get(length + 2)?);
        if behind != (&b'"', &b':') {
            return None;
        }
        let start = self.at + 1;
        self.at += length + 3;
        Some(Span::new(start, start + length))
    }

    fn any_key(&mut self) -> Result<Span, DecodeError> {
        self.expect(b'"')?;
        let start = self.at;
        let escaped = self.string()?;
        let span = Span::new(start, self.at - 1);
        if escaped
            || matches!(self.bytes.get(start), Some(b'@' | b'$'))
                && matches!(self.slice(span), "@type" | "$ref")
        {
            return Err(ambiguous(span));
        }
        self.expect(b':')?;
        Ok(span)
    }

    /// A value of any kind.
    #[inline]
    pub(super) fn value(&mut self, depth: u8) -> Result<Value, DecodeError> {
        if self.peek() != b'"' {
            return self.other_value(depth);
        }
        self.at += 1;
        let start = self.at;
        let escaped = self.string()?;
        Ok(Value {
            kind: Kind::Text,
            span: Span::new(start, self.at - 1),
            escaped,
        })
    }

    fn other_value(&mut self, depth: u8) -> Result<Value, DecodeError> {
        let start = self.at;
        let kind = match self.peek() {
            0 => return Err(DecodeError::Truncated),
            b'{' => {
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
            span: Span::new(start, self.at),
            escaped: false,
        })
    }

    fn nested(&mut self, close: u8, depth: u8) -> Result<(), DecodeError> {
        if depth >= MAX_DEPTH {
            return Err(self.malformed());
        }
        self.at += 1;
        let mut more = !self.closes(close);
        while more {
            if close == b'}' {
                self.key()?;
            }
            self.value(depth + 1)?;
            more = self.goes_on(close)?;
        }
        Ok(())
    }

    /// Goes behind the closing quote, the opening one being behind us already, and tells whether there
    /// are escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, DecodeError> {
        self.skip_to_stop();
        match self.bytes.get(self.at) {
            Some(b'"') => {
                self.at += 1;
                Ok(false)
            }
            Some(_) => self.escaped_string(),
            None => Err(DecodeError::Truncated),
        }
    }

    /// The same from the first backslash on.
    fn escaped_string(&mut self) -> Result<bool, DecodeError> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            match rest.first() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(_) => {}
                None => return Err(DecodeError::Truncated),
            }
            match rest.get(1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                Some(b'u') => {
                    let digits = rest.get(2..6).ok_or(DecodeError::Truncated)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return Err(self.malformed());
                    }
                    self.at += 6;
                }
                Some(_) => return Err(self.malformed()),
                None => return Err(DecodeError::Truncated),
            }
            self.skip_to_stop();
        }
    }

    /// Goes to the next quote or backslash, or to the end: eight bytes at a time, as most strings here
    /// are shorter than it takes to call a search that is made for long ones.
    #[inline]
    fn skip_to_stop(&mut self) {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
            let stops = stops(u64::from_le_bytes(*chunk));
            if stops != 0 {
                self.at += (stops.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
            rest = after;
        }
        let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        self.at += stop.unwrap_or(rest.len());
    }

    fn literal(&mut self, literal: &str, kind: Kind) -> Result<Kind, DecodeError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(literal.as_bytes()) {
            return Err(self.malformed());
        }
        self.at += literal.len();
        Ok(kind)
    }

    fn number(&mut self) -> Result<Kind, DecodeError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
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
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.bytes.get(self.at) {
                Some(byte) if *byte > b' ' => return *byte,
                Some(_) => self.at += 1,
                None => return 0,
            }
        }
    }

    #[inline]
    fn next(&mut self) -> Result<u8, DecodeError> {
        let byte = self.peek();
        if byte == 0 {
            return Err(DecodeError::Truncated);
        }
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Result<(), DecodeError> {
        if self.next()? == wanted {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    /// The text at that place.
    pub(super) fn slice(&self, span: Span) -> &'a str {
        let range = span.start as usize..span.end as usize;
        self.text.get(range).unwrap_or_default()
    }

    fn malformed(&self) -> DecodeError {
        DecodeError::Malformed(self.at as u32)
    }
}
