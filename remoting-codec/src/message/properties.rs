//! A message's properties in their text form: `name`, 1, `value`, 2, and so on.

use std::borrow::Cow;

use crate::error::PropertyError;

/// Most bytes that the properties of a message may have: their length is stored in 16 bits. A
/// broker, which adds some of its own, refuses more with MESSAGE_ILLEGAL
/// (`MessageExtEncoder.encode`).
pub const MAX_PROPERTIES: usize = i16::MAX as usize;

/// Bytes of properties that are not many.
const USUAL: usize = 256;

/// Separates a name and its value (`MessageDecoder.NAME_VALUE_SEPARATOR`).
const NAME_VALUE: u8 = 1;
/// Follows a value (`MessageDecoder.PROPERTY_SEPARATOR`). Clients of 4.x leave it out after the
/// last one.
const PROPERTY: u8 = 2;

/// The properties of a message, borrowed from a stored message or from a send's header.
///
/// Read as `MessageDecoder.string2messageProperties` reads them: a pair without a name or a value
/// is ignored, and of two properties of one name the later counts. A batch may carry bytes that are
/// not UTF-8 into a broker's store; they are read as U+FFFD, as in Java.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Properties<'a> {
    bytes: &'a [u8],
}

impl<'a> Properties<'a> {
    /// The properties of a text form.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The text form.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Names and values in their order. Those that are UTF-8 are not copied.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        self.pieces().map(|(name, value)| {
            (
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value),
            )
        })
    }

    /// The value of a property, the last one if there are several.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let named = self.pieces().filter(|(key, _)| *key == name.as_bytes());
        named
            .last()
            .map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// Whether there is such a property.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.pieces().any(|(key, _)| key == name.as_bytes())
    }

    /// The names of the properties in their order, as bytes.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.pieces().map(|(name, _)| name)
    }

    /// The pairs that Java reads as properties, as bytes.
    fn pieces(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let pieces = self.bytes.split(|byte| *byte == PROPERTY);
        pieces.filter_map(|piece| {
            let at = memchr::memchr(NAME_VALUE, piece)?;
            let (name, value) = piece.split_at_checked(at)?;
            let value = value.get(1..)?;
            (!name.is_empty() && !value.is_empty()).then_some((name, value))
        })
    }
}

impl std::fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a> From<&'a str> for Properties<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text.as_bytes())
    }
}

/// A builder of properties.
///
/// A name that is added twice is written twice; readers take the last.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PropertiesBuf {
    text: String,
}

impl PropertiesBuf {
    /// No properties.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The properties of the text form, to add more to: the last separator, which clients of 4.x
    /// leave out, is added.
    ///
    /// # Errors
    /// When they are too long.
    pub fn of_text(text: &str) -> Result<Self, PropertyError> {
        let mut text = text.to_owned();
        if !text.is_empty() && !text.ends_with(char::from(PROPERTY)) {
            text.push(char::from(PROPERTY));
        }
        match text.len() <= MAX_PROPERTIES {
            true => Ok(Self { text }),
            false => Err(PropertyError::TooLong),
        }
    }

    /// Adds a property.
    ///
    /// # Errors
    /// When the name or the value is empty, because readers ignore such a property; when one of
    /// them has a separator, because readers would see other properties; and when the properties
    /// would be longer than [`MAX_PROPERTIES`]. Nothing is added then.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), PropertyError> {
        for part in [name, value] {
            if part.is_empty() {
                return Err(PropertyError::Empty);
            }
            if part
                .bytes()
                .any(|byte| matches!(byte, NAME_VALUE | PROPERTY))
            {
                return Err(PropertyError::Separator);
            }
        }
        if self.text.len() + name.len() + value.len() + 2 > MAX_PROPERTIES {
            return Err(PropertyError::TooLong);
        }
        if self.text.capacity() == 0 {
            self.text.reserve(USUAL);
        }
        self.text.push_str(name);
        self.text.push(char::from(NAME_VALUE));
        self.text.push_str(value);
        self.text.push(char::from(PROPERTY));
        Ok(())
    }

    /// The text form, with a separator at its end unless it is empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads the properties that were added so far.
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        self.text.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let properties = Properties::from(text);
        let owned =
            |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        properties.iter().map(owned).collect()
    }

    #[test]
    fn properties_are_read_as_java_reads_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("a\u{1}b\u{2}", &[("a", "b")]),
            ("a\u{1}b", &[("a", "b")]),
            ("a\u{1}b\u{2}a\u{1}c\u{2}", &[("a", "b"), ("a", "c")]),
            ("a\u{1}b\u{1}c\u{2}", &[("a", "b\u{1}c")]),
            ("a\u{1}\u{2}\u{1}b\u{2}\u{2}ab\u{2}c\u{1}d", &[("c", "d")]),
            ("ключ\u{1}значение\u{2}", &[("ключ", "значение")]),
        ] {
            let pairs: Vec<_> = read(text);
            let pairs: Vec<_> = pairs.iter().map(|(a, b)| (&**a, &**b)).collect();
            assert_eq!(pairs, expected, "{text:?}");
        }
        let twice = Properties::from("a\u{1}b\u{2}a\u{1}c\u{2}");
        assert_eq!(twice.get("a").unwrap(), "c");
        assert!(twice.contains("a") && !twice.contains("b"));
        assert_eq!(twice.get("b"), None);
        let broken = Properties::new(b"a\x01\xff\x02b\x01\xe2\x02");
        assert_eq!(broken.get("a").unwrap(), "\u{fffd}");
        assert_eq!(broken.get("b").unwrap(), "\u{fffd}");
    }

    #[test]
    fn properties_that_would_not_be_read_are_not_written() {
        let mut properties = PropertiesBuf::of_text("a\u{1}b").unwrap();
        properties.push("c", "d").unwrap();
        assert_eq!(properties.as_str(), "a\u{1}b\u{2}c\u{1}d\u{2}");
        for (name, value, error) in [
            ("", "x", PropertyError::Empty),
            ("x", "", PropertyError::Empty),
            ("x\u{1}", "y", PropertyError::Separator),
            ("x", "y\u{2}TRAN_MSG\u{1}true", PropertyError::Separator),
        ] {
            assert_eq!(properties.push(name, value), Err(error));
        }
        let room = MAX_PROPERTIES - properties.as_str().len() - 3;
        let value = "v".repeat(room + 1);
        assert_eq!(properties.push("n", &value), Err(PropertyError::TooLong));
        properties.push("n", &value[1..]).unwrap();
        assert_eq!(properties.as_str().len(), MAX_PROPERTIES);
        let full = properties.as_str();
        assert_eq!(PropertiesBuf::of_text(full).unwrap(), properties);
        let without_end = &full[..full.len() - 1];
        assert!(PropertiesBuf::of_text(without_end).is_ok());
        assert!(PropertiesBuf::of_text(&format!("{without_end}vv")).is_err());
        assert_eq!(PropertiesBuf::of_text(""), Ok(PropertiesBuf::new()));
    }
}
