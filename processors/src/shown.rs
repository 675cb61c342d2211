//! What clients write, as it is shown in the log.

use std::borrow::Cow;

/// Most bytes of it that are shown.
const SHOWN_MAX: usize = 255;

/// An id, group or topic, cut to 255 bytes; "…" stands for the rest, and counts among them.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    const CUT: &str = "…";
    if text.len() <= SHOWN_MAX {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(SHOWN_MAX - CUT.len());
    let start = text.get(..end).unwrap_or_default();
    Cow::Owned(format!("{start}{CUT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(shown("127.0.0.1@1"), "127.0.0.1@1");
        let fits = "x".repeat(SHOWN_MAX);
        assert_eq!(shown(&fits), fits);
        for character in ["x", "é", "€", "😀"] {
            let long = format!("x{}", character.repeat(1000));
            let cut = shown(&long);
            assert!(cut.len() <= SHOWN_MAX && cut.len() > SHOWN_MAX - 4);
            assert!(long.starts_with(cut.strip_suffix('…').unwrap()));
        }
    }
}
