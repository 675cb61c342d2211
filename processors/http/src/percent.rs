//! Percent-encoding (RFC 3986, section 2.1): strict, and UTF-8 behind it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text behind escapes. With `is_form`, a `+` is a space, as in queries of HTML forms.
///
/// `None` if an escape has not two hexadecimal digits, or the bytes are not UTF-8.
pub(crate) fn decode(text: &str, is_form: bool) -> Option<Cow<'_, str>> {
    let is_special = |byte: u8| byte == b'%' || (is_form && byte == b'+');
    if !text.bytes().any(is_special) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if is_form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

/// The text with escapes for all bytes that are not `plain`, and for `%`.
pub(crate) fn encode(text: &str, plain: impl Fn(u8) -> bool) -> Cow<'_, str> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let is_plain = |byte: u8| byte != b'%' && plain(byte);
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii() && is_plain(byte) {
            encoded.push(char::from(byte));
            continue;
        }
        encoded.push('%');
        for half in [byte >> 4, byte & 0xF] {
            let digit = DIGITS.get(usize::from(half)).copied().unwrap_or_default();
            encoded.push(char::from(digit));
        }
    }
    Cow::Owned(encoded)
}

/// Appends the text with escapes for all characters that are `special`, and for `%`.
pub(crate) fn encode_special(text: &str, special: impl Fn(char) -> bool, into: &mut String) {
    let mut utf8 = [0; 4];
    for sign in text.chars() {
        if sign != '%' && !special(sign) {
            into.push(sign);
            continue;
        }
        for byte in sign.encode_utf8(&mut utf8).bytes() {
            // Writing into a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_strictly() {
        for (text, is_form, expected) in [
            ("", false, Some("")),
            ("a+b", false, Some("a+b")),
            ("a+b", true, Some("a b")),
            ("%25RETRY%25g", false, Some("%RETRY%g")),
            ("%e4%b8%AD", true, Some("中")),
            ("TagA%7C%7CTagB", true, Some("TagA||TagB")),
            ("a+b%2bc", true, Some("a b+c")),
            ("%", false, None),
            ("%4", false, None),
            ("%4g", false, None),
            ("%+1", false, None),
            ("%ff", false, None),
            ("a%00b", false, Some("a\0b")),
        ] {
            assert_eq!(decode(text, is_form).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_encoded_is_read_again() {
        let plain = |byte: u8| byte.is_ascii_lowercase();
        for (text, encoded) in [
            ("abc", "abc"),
            ("aBc", "a%42c"),
            ("100%", "%31%30%30%25"),
            ("中\n", "%E4%B8%AD%0A"),
        ] {
            assert_eq!(encode(text, plain), encoded);
            assert_eq!(decode(encoded, false).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let text = "100% a:b|中\u{1}";
        let mut encoded = String::new();
        encode_special(
            text,
            |sign| matches!(sign, ':' | '|' | '\u{1}'),
            &mut encoded,
        );
        assert_eq!(encoded, "100%25 a%3Ab%7C中%01");
        assert_eq!(decode(&encoded, false).as_deref(), Some(text));
    }
}
