//! The JSON header: read where it lies, without building anything.
//!
//! The reader is stricter than JSON readers are by habit. A header goes on to a broker over a
//! connection that other clients share, and a broker closes a connection whose header it cannot
//! read, or that it reads differently. So what is not plainly one object of the known keys is refused
//! here, where it costs only its sender.

use super::index::Index;
use super::reader::{Kind, Reader, Value, ambiguous};
use super::{Head, Span};
use crate::error::{DecodeError, FrameError};
use crate::ext_fields::ExtValue;
use crate::frame::MAX_HEADER;
use crate::version::{Language, Version};

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
    let mut reader = Reader::new(header)?;
    let mut head = Head {
        code: 0,
        language: Language::JAVA,
        version: Version(0),
        opaque: 0,
        flag: 0,
        opaque_at: Span::default(),
        remark: Span::default(),
        ext_fields: Span::default(),
        index: Index::new(header.len()),
    };
    let mut seen = 0_u8;
    reader.open()?;
    let mut more = !reader.closes(b'}');
    while more {
        let key = reader.key()?;
        let which: u8 = match reader.slice(key) {
            "code" => 0,
            "extFields" => 1,
            "flag" => 2,
            "language" => 3,
            "opaque" => 4,
            "remark" => 5,
            "serializeTypeCurrentRPC" => 6,
            "version" => 7,
            other if is_harmless(other) => {
                reader.value(0)?;
                more = reader.goes_on(b'}')?;
                continue;
            }
            _ => return Err(ambiguous(key)),
        };
        if seen & (1 << which) != 0 {
            return Err(ambiguous(key));
        }
        seen |= 1 << which;
        if which == 1 && reader.peek() == b'{' {
            head.ext_fields = ext_fields(&mut reader, &mut head.index)?;
            more = reader.goes_on(b'}')?;
            continue;
        }
        let value = reader.value(0)?;
        match which {
            0 => head.code = number(&reader, value, "code")?,
            2 => head.flag = number(&reader, value, "flag")?,
            4 => {
                head.opaque = number(&reader, value, "opaque")?;
                head.opaque_at = value.span;
            }
            7 => head.version = Version(number(&reader, value, "version")?),
            3 => head.language = language(&reader, value)?,
            5 if value.kind == Kind::Text => head.remark = value.span,
            1 if value.kind != Kind::Null => return Err(value.malformed()),
            // Not read, a frame has its own type byte; but Java's reader fails on other kinds.
            6 if !matches!(value.kind, Kind::Text | Kind::Null) => return Err(value.malformed()),
            _ => {}
        }
        more = reader.goes_on(b'}')?;
    }
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

/// Reads the object of ext fields, and notes where each field that has a value is.
fn ext_fields(reader: &mut Reader<'_>, index: &mut Index) -> Result<Span, DecodeError> {
    let start = reader.at();
    reader.open()?;
    let mut more = !reader.closes(b'}');
    while more {
        let key = reader.key()?;
        let value = reader.value(1)?;
        if value.kind != Kind::Null {
            index.push(key, value.span, value.escaped);
        }
        more = reader.goes_on(b'}')?;
    }
    Ok(Span::new(start, reader.at()))
}

/// Calls `each` with every ext field that has a value; a key that comes twice is called twice.
/// `object` is text that [`decode`] has been through.
pub(crate) fn visit<'a>(
    object: &'a [u8],
    mut each: impl FnMut(&'a [u8], ExtValue<'a>),
) -> Result<(), DecodeError> {
    if object.is_empty() {
        return Ok(());
    }
    let mut reader = Reader::new(object)?;
    reader.open()?;
    let mut more = !reader.closes(b'}');
    while more {
        let key = reader.key()?;
        let value = reader.value(1)?;
        if value.kind != Kind::Null {
            let raw = value.span.of(object);
            each(key.of(object), ExtValue::new(raw, value.escaped));
        }
        more = reader.goes_on(b'}')?;
    }
    Ok(())
}

fn number(reader: &Reader<'_>, value: Value, key: &'static str) -> Result<i32, DecodeError> {
    if value.kind != Kind::Number {
        return Err(DecodeError::NotANumber(key));
    }
    let number = reader.slice(value.span).parse();
    number.map_err(|_| DecodeError::NotANumber(key))
}

/// Java writes the name and reads the ordinal too. A name that it does not know is none to it; a
/// number or anything else that it does not know, it fails on.
fn language(reader: &Reader<'_>, value: Value) -> Result<Language, DecodeError> {
    match value.kind {
        Kind::Text => Ok(Language::from_name(reader.slice(value.span))),
        Kind::Null => Ok(Language::JAVA),
        Kind::Number => match reader.slice(value.span).parse() {
            Ok(number @ 0..=MAX_LANGUAGE_NUMBER) => Ok(Language(number)),
            _ => Err(value.malformed()),
        },
        _ => Err(value.malformed()),
    }
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
