//! Objects and arrays where text is expected: fastjson2 reads them and writes them as text.

use std::collections::HashMap;

use super::number::Number;
use super::source::{NESTED_COST, Scalar, Source, Units};
use crate::error::DecodeError;

/// Greatest depth of nesting.
const MAX_DEPTH: u8 = 64;

enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Units),
    Array(Vec<Value<'a>>),
    /// In the order of each name's first occurrence.
    Object(Vec<(Units, Value<'a>)>),
}

/// A value of any kind as text; `None` for null. An array of one text, or of one null, is read as
/// its element.
pub(super) fn text(source: &mut Source<'_>) -> Result<Option<Units>, DecodeError> {
    // What is in front of the value is not a part of it.
    source.peek();
    source.forget_nul();
    let text = match read(source, 0)? {
        Value::Null => return Ok(None),
        Value::Bool(truth) => units(&truth.to_string()),
        Value::Number(number) => units(&number.text()),
        Value::Text(text) => text,
        Value::Array(mut only) if matches!(*only, [Value::Null | Value::Text(_)]) => {
            return Ok(match only.pop() {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            });
        }
        other => {
            let mut out = Units::new();
            write(&other, &mut out);
            out
        }
    };
    Ok(Some(text))
}

pub(super) fn units(text: &str) -> Units {
    text.encode_utf16().collect()
}

fn read<'a>(source: &mut Source<'a>, depth: u8) -> Result<Value<'a>, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(source.too_deep());
    }
    // Of an ext field's own value, the name is counted.
    source.count(usize::from(depth.min(1)) * NESTED_COST)?;
    match source.peek() {
        b'[' => {
            let mut elements = Vec::new();
            source.array(|source| {
                elements.push(read(source, depth + 1)?);
                Ok(())
            })?;
            Ok(Value::Array(elements))
        }
        b'{' => {
            let mut members: Vec<(Units, Value<'a>)> = Vec::new();
            let mut places = HashMap::new();
            source.object(|source, key| {
                // Some readers take a NUL for a part of a name, even in front of its quote; some
                // take `$ref` for a reference to another part of the header.
                let has_nul = source.skipped_nul() || key.contains(&0);
                if has_nul || key.iter().copied().eq("$ref".encode_utf16()) {
                    return Err(source.ambiguous());
                }
                let value = read(source, depth + 1)?;
                let place = *places.entry(key.clone()).or_insert(members.len());
                match members.get_mut(place) {
                    Some((_, old)) => *old = value,
                    None => members.push((key, value)),
                }
                Ok(())
            })?;
            // fastjson2 2.0.59 begins a name at a NUL in front of the closing brace, too.
            match source.skipped_nul() {
                true => Err(source.ambiguous()),
                false => Ok(Value::Object(members)),
            }
        }
        _ => Ok(match source.scalar()? {
            Scalar::Null => Value::Null,
            Scalar::Bool(truth) => Value::Bool(truth),
            Scalar::Number(number) if number.is_ambiguous() => {
                return Err(source.ambiguous_number());
            }
            Scalar::Number(number) => Value::Number(number),
            Scalar::Text(text) => Value::Text(text),
        }),
    }
}

/// As fastjson2 writes: no white space, members without a value left out.
fn write(value: &Value<'_>, out: &mut Units) {
    match value {
        Value::Null => out.extend(units("null")),
        Value::Bool(truth) => out.extend(units(&truth.to_string())),
        Value::Number(number) => {
            let text = number.text();
            // JSON cannot express infinity.
            let is_infinite = text.ends_with("Infinity");
            out.extend(units(if is_infinite { "null" } else { &text }));
        }
        Value::Text(text) => write_text(text, out),
        Value::Array(elements) => {
            out.push(u16::from(b'['));
            for (nth, element) in elements.iter().enumerate() {
                if nth > 0 {
                    out.push(u16::from(b','));
                }
                write(element, out);
            }
            out.push(u16::from(b']'));
        }
        Value::Object(members) => {
            out.push(u16::from(b'{'));
            let members = members
                .iter()
                .filter(|(_, value)| !matches!(value, Value::Null));
            for (nth, (key, value)) in members.enumerate() {
                if nth > 0 {
                    out.push(u16::from(b','));
                }
                write_text(key, out);
                out.push(u16::from(b':'));
                write(value, out);
            }
            out.push(u16::from(b'}'));
        }
    }
}

fn write_text(text: &Units, out: &mut Units) {
    out.push(u16::from(b'"'));
    for unit in text {
        match unit {
            0x22 => out.extend(units("\\\"")),
            0x5c => out.extend(units("\\\\")),
            8 => out.extend(units("\\b")),
            9 => out.extend(units("\\t")),
            10 => out.extend(units("\\n")),
            12 => out.extend(units("\\f")),
            13 => out.extend(units("\\r")),
            0..0x20 => out.extend(units(&format!("\\u{unit:04x}"))),
            _ => out.push(*unit),
        }
    }
    out.push(u16::from(b'"'));
}
