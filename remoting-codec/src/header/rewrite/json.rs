//! A JSON header as `RemotingSerializable.decode` of 5.5.0 reads it (fastjson2, without smart
//! matching of names).

use super::header::{ExtFields, Header};
use super::nested;
use super::number::Number;
use super::source::{EXPONENT_COST, Scalar, Source, Units};
use crate::error::DecodeError;
use crate::header::scanner::is_instruction;
use crate::version::{Language, Version};

/// Longest name that fastjson2 compares as a number, so that zero bytes at its end do not count.
const SHORT_NAME: usize = 8;

/// The names of the serializations, of which nothing else is read.
const SERIALIZE_TYPES: [&str; 2] = ["JSON", "ROCKETMQ"];

pub(super) fn read(bytes: &[u8]) -> Result<Header, DecodeError> {
    let mut source = Source::new(bytes)?;
    let mut header = Header::new();
    source.object(|source, key| {
        source.count(1)?;
        let mut name = String::from_utf16_lossy(&key);
        if key.len() <= SHORT_NAME {
            name.truncate(name.trim_end_matches('\0').len());
        }
        match name.as_str() {
            "code" => header.code = int(source, "code")?,
            "flag" => header.flag = int(source, "flag")?,
            "opaque" => header.opaque = int(source, "opaque")?,
            "version" => header.version = Version(int(source, "version")?),
            "language" => header.language = language(source)?,
            "remark" => header.remark = nested::text(source)?,
            "extFields" => header.ext_fields = ext_fields(source)?,
            // It is read because the language may depend on it.
            "serializeTypeCurrentRPC" if matches!(source.peek(), b'"' | b'\'') => {
                let text = source.text()?;
                constant(source, &text, &SERIALIZE_TYPES);
            }
            _ => source.skip()?,
        }
        Ok(())
    })?;
    source.take(b',');
    source.end()?;
    Ok(header)
}

/// An object, or an array with one object.
fn ext_fields(source: &mut Source<'_>) -> Result<ExtFields, DecodeError> {
    let mut fields = ExtFields::default();
    match source.peek() {
        b'{' => read_fields(source, &mut fields)?,
        b'[' => {
            let mut elements = 0;
            source.array(|source| {
                elements += 1;
                read_fields(source, &mut fields)
            })?;
            if elements != 1 {
                return Err(source.malformed());
            }
        }
        _ => match source.scalar()? {
            Scalar::Null => {}
            Scalar::Text(text) if matches!(&*String::from_utf16_lossy(&text), "" | "null") => {}
            _ => return Err(source.malformed()),
        },
    }
    Ok(fields)
}

fn read_fields(source: &mut Source<'_>, fields: &mut ExtFields) -> Result<(), DecodeError> {
    source.object(|source, key| {
        source.count(1)?;
        // Brokers differ in whether they read it as the name of that field, however it is written.
        if key.contains(&0) || is_instruction(&key) {
            return Err(source.ambiguous());
        }
        let value = nested::text(source)?;
        fields.put(key, value);
        Ok(())
    })
}

/// A 32 bit number, or a value that is read as one: `false` and `true` as 0 and 1, null and empty
/// text as 0, other text as the number in it.
fn int(source: &mut Source<'_>, key: &'static str) -> Result<i32, DecodeError> {
    if matches!(source.peek(), b'{' | b'[') {
        return Err(DecodeError::NotANumber(key));
    }
    let number = match source.scalar()? {
        Scalar::Null => Some(0),
        Scalar::Bool(truth) => Some(i32::from(truth)),
        Scalar::Number(number) => number.int(),
        Scalar::Text(text) => {
            // In quotes, a number with an exponent costs as much as without.
            if text
                .iter()
                .any(|unit| [u16::from(b'e'), u16::from(b'E')].contains(unit))
            {
                source.count(EXPONENT_COST)?;
            }
            let number = int_in_text(&text);
            // Its reader keeps such text: see `constant`.
            if source.is_escaped() || text.contains(&u16::from(b',')) {
                source.left_over = Some(whole(&text));
            }
            number
        }
    };
    number.ok_or(DecodeError::NotANumber(key))
}

fn int_in_text(units: &Units) -> Option<i32> {
    let text = String::from_utf16_lossy(units);
    match text.as_str() {
        "" | "null" | "false" => Some(0),
        "true" => Some(1),
        // Commas between thousands, of which only the last group must have three digits.
        text if text.rfind(',').is_some_and(|at| at + 4 == text.len()) => {
            text.replace(',', "").parse().ok()
        }
        text => Number::read(text.as_bytes())?.int(),
    }
}

/// Java writes the name, and reads the number too. It reads an unknown name as no language.
fn language(source: &mut Source<'_>) -> Result<Language, DecodeError> {
    let of_number = |number: i32| {
        let number = u8::try_from(number).ok().map(Language);
        number.filter(|language| usize::from(language.0) < Language::NAMES.len())
    };
    if matches!(source.peek(), b'{' | b'[') {
        return Err(source.malformed());
    }
    match source.scalar()? {
        Scalar::Null => Ok(Language::OTHER),
        Scalar::Bool(_) => Err(source.malformed()),
        Scalar::Number(number) => {
            let number = number.int().ok_or(DecodeError::NotANumber("language"))?;
            of_number(number).ok_or(source.malformed())
        }
        Scalar::Text(text) => {
            let number = constant(source, &text, &Language::NAMES);
            Ok(number.and_then(of_number).unwrap_or(Language::OTHER))
        }
    }
}

/// The number of a constant whose text was read last: the place of its name, or the number that
/// the text is, which need not be that of a constant.
///
/// When it is no name, fastjson2 asks its reader for the text. The reader answers with a text that
/// it has kept, if there is one: the last number in quotes that it had to read as text, or else the
/// first text of this kind that has escapes. (It keeps numbers of more than 38 digits too, but no
/// constant has such a number.)
fn constant(source: &mut Source<'_>, text: &Units, names: &[&str]) -> Option<i32> {
    let name = String::from_utf16_lossy(text);
    if matches!(name.as_str(), "" | "null") && !source.is_escaped() {
        return None;
    }
    // As with keys, zero bytes at the end of a short name do not count.
    if let Some(at) = similar(name.trim_end_matches('\0'), names) {
        return i32::try_from(at).ok();
    }
    let number = whole(text);
    if source.is_escaped() {
        source.left_over.get_or_insert(number);
    }
    Some(source.left_over.unwrap_or(number))
}

/// The whole number that the text is, −1 if it is none.
fn whole(text: &Units) -> i32 {
    String::from_utf16_lossy(text).parse().unwrap_or(-1)
}

/// The place of a name among those, in any case, with or without `_`, `-` and spaces.
fn similar(name: &str, names: &[&str]) -> Option<usize> {
    let letters = |name: &str| {
        let mut letters = name.to_ascii_lowercase();
        letters.retain(|c| !matches!(c, '_' | '-' | ' '));
        letters
    };
    let wanted = letters(name);
    names.iter().position(|known| letters(known) == wanted)
}
