//! Text in JSON: resolving and writing escapes.

/// The text of a JSON string, with its escapes resolved.
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

/// The character of a `\u` escape whose four digits are at the front of `rest`, and the text after
/// it. Half a surrogate pair becomes U+FFFD.
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

/// Appends a JSON string: the text in quotes, with escapes where JSON needs them.
pub(crate) fn write(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        write_byte(byte, out);
    }
    out.push(b'"');
}

/// Writes a string of Java's, with its quotes; half a surrogate pair as an escape.
pub(crate) fn write_units(units: &[u16], out: &mut Vec<u8>) {
    out.push(b'"');
    for c in char::decode_utf16(units.iter().copied()) {
        match c {
            Ok(c) => {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    write_byte(byte, out);
                }
            }
            Err(half) => write_escape(half.unpaired_surrogate(), out),
        }
    }
    out.push(b'"');
}

/// Writes a name of an ext field, with its quotes: in ASCII, because brokers of 5.5.0 misread some
/// names with characters of four bytes.
pub(crate) fn write_name(units: impl IntoIterator<Item = u16>, out: &mut Vec<u8>) {
    out.push(b'"');
    for unit in units {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => write_byte(byte, out),
            _ => write_escape(unit, out),
        }
    }
    out.push(b'"');
}

fn write_byte(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        0..0x20 => write_escape(u16::from(byte), out),
        _ => out.push(byte),
    }
}

fn write_escape(unit: u16, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digit = |shift: u16| {
        let nibble = usize::from(unit >> shift & 15);
        HEX.get(nibble).copied().unwrap_or(b'0')
    };
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}
