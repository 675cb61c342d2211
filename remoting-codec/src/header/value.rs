//! The value of an ext field, borrowed from its header.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem::Finder;

use super::text;

/// The value of an ext field. Values are text on the wire; C++ sends some as JSON numbers, whose
/// literal text is the value.
#[derive(Clone, Copy)]
pub struct ExtValue<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl fmt::Debug for ExtValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

impl Eq for ExtValue<'_> {}

/// Equal if the texts are, however they are escaped.
impl PartialEq for ExtValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl<'a> From<&'a str> for ExtValue<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text.as_bytes(), false)
    }
}

impl<'a> ExtValue<'a> {
    /// Of bytes that the header's decoder has checked to be text.
    pub(crate) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The text, its escapes resolved: borrowed unless there are any.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        let raw = std::str::from_utf8(self.raw).unwrap_or_default();
        if self.escaped {
            Cow::Owned(text::unescape(raw))
        } else {
            Cow::Borrowed(raw)
        }
    }

    /// The text as a 32 bit number, if it is one.
    #[must_use]
    pub fn int(&self) -> Option<i32> {
        match self.short_number() {
            Some(number) => i32::try_from(number).ok(),
            None => self.text().parse().ok(),
        }
    }

    /// Reads a number of few digits, as most are, from its bytes.
    #[inline]
    fn short_number(&self) -> Option<i64> {
        const FEW: usize = 18;
        if self.raw.is_empty() || self.raw.len() > FEW {
            return None;
        }
        self.raw.iter().try_fold(0, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then(|| number * 10 + i64::from(digit))
        })
    }

    /// The text as a 64 bit number, if it is one.
    #[must_use]
    pub fn long(&self) -> Option<i64> {
        self.short_number().or_else(|| self.text().parse().ok())
    }

    /// Whether the text is `true` as Java reads it: in any case, and not `1`.
    #[must_use]
    pub fn is_true(&self) -> bool {
        self.text().eq_ignore_ascii_case("true")
    }

    /// The text as written in the header, with its escapes.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether the text contains the word of `finder`; for words that need no escapes in JSON.
    #[must_use]
    pub fn contains(&self, finder: &Finder<'_>) -> bool {
        finder.find(self.raw).is_some()
    }

    /// Whether the text is empty, which the reference takes for no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}
