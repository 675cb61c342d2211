//! Reading JSON that a client has sent: strictly, and within bounds.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::problem::{Problem, Word};

pub(super) use messaging::check::shown;

/// The longest description of an error in a document, in characters.
const ERROR_MAX: usize = 256;

/// How deep arrays and objects of a request may be nested.
const DEPTH_MAX: usize = 64;

/// Reads one JSON document. `what` names it in a problem.
///
/// # Errors
/// [`Word::InvalidBody`] when it is no such document, or is nested too deeply.
pub(super) fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, Problem> {
    if !is_shallow(bytes) {
        let detail = format!("{what} is nested more than {DEPTH_MAX} times");
        return Err(Problem::new(Word::InvalidBody, detail));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        // It repeats names and texts of the document.
        let error: String = error.to_string().chars().take(ERROR_MAX).collect();
        Problem::new(Word::InvalidBody, format!("{what} cannot be read: {error}"))
    })
}

/// Whether arrays and objects are not nested too deeply. Text that is no JSON may be taken for
/// either.
fn is_shallow(bytes: &[u8]) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return false;
        }
    }
    true
}

/// A string, which is not copied if it has no escapes.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What is written as an object. A struct alone would be read from an array as well.
#[derive(Clone, Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        Ok(Self(deserializer.deserialize_map(Members(PhantomData))?))
    }
}

/// A list of at most `N` entries. A longer one is refused before it is read as a whole: its entries
/// may take more memory than their text.
#[derive(Clone, Debug)]
pub(super) struct Bounded<T, const N: usize>(pub(super) Vec<T>);

impl<T, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Bounded<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Entries<T, N> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an array of at most {N} entries")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
                let mut read = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    if read.len() == N {
                        return Err(A::Error::custom(format!("more than {N} entries")));
                    }
                    read.push(entry);
                }
                Ok(read)
            }
        }

        let entries = deserializer.deserialize_seq(Entries::<T, N>(PhantomData))?;
        Ok(Self(entries))
    }
}

/// Names with texts, at most `N`, each name once.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts<const N: usize>(pub(super) Vec<(String, String)>);

impl<'de, const N: usize> Deserialize<'de> for Texts<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<const N: usize>;

        impl<'de, const N: usize> Visitor<'de> for Pairs<N> {
            type Value = Vec<(String, String)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of at most {N} strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs: Vec<(String, String)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if pairs.len() == N {
                        return Err(A::Error::custom(format!("more than {N} entries")));
                    }
                    if pairs.iter().any(|(before, _)| *before == name) {
                        let name = shown(&name);
                        return Err(A::Error::custom(format!("{name:?} is there twice")));
                    }
                    pairs.push((name, map.next_value()?));
                }
                Ok(pairs)
            }
        }

        Ok(Self(deserializer.deserialize_map(Pairs::<N>)?))
    }
}

/// Reads a field that may be absent, but not `null`: who writes it has a value in mind.
pub(super) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    PhantomData::<T>.deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let read = |text: &str| json::<serde_json::Value>(text.as_bytes(), "the body");
        assert!(read(&nested(DEPTH_MAX)).is_ok());
        let problem = read(&nested(DEPTH_MAX + 1)).unwrap_err();
        assert_eq!(problem.word, Word::InvalidBody);
        assert!(problem.detail.contains("nested"), "{problem:?}");
        // What stands in a string is no nesting.
        let text = format!(r#"["{}\"{}"]"#, "[".repeat(100), "{".repeat(100));
        assert!(read(&text).is_ok());
        let wide = format!("[{}[]]", "[],".repeat(1_000));
        assert!(read(&wide).is_ok());
        assert!(!is_shallow("{".repeat(100).as_bytes()));
    }

    #[test]
    fn problems_do_not_repeat_all_that_is_wrong() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}
        let text = format!("{{\"{}\":1}}", "x".repeat(10_000));
        let problem = json::<Empty>(text.as_bytes(), "the body").unwrap_err();
        assert!(problem.detail.len() < 400 && problem.detail.contains("unknown field"));
        assert_eq!(shown(&"ä".repeat(100)).chars().count(), 65);
        assert_eq!(shown("ä"), "ä");
    }

    #[test]
    fn lists_and_objects_are_limited() {
        type Three = Bounded<u8, 3>;
        let read = |text: &str| serde_json::from_str::<Three>(text).map(|list| list.0);
        assert_eq!(read("[1,2,3]").unwrap(), [1, 2, 3]);
        let error = read("[1,2,3,4]").unwrap_err();
        assert!(error.to_string().contains("more than 3 entries"), "{error}");
        assert!(read("{}").is_err() && read("[256]").is_err());
        let read = |text: &str| serde_json::from_str::<Texts<2>>(text).map(|texts| texts.0);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read(r#"{"b":"1","a":""}"#).unwrap(),
            [pair("b", "1"), pair("a", "")]
        );
        for wrong in [
            r#"{"a":"1","b":"2","c":"3"}"#,
            r#"{"a":"1","a":"2"}"#,
            r#"{"a":1}"#,
            r#"{"a":null}"#,
            "[]",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_array_is_no_object() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct One {
            one: u8,
        }
        let read = |text: &str| json::<Object<One>>(text.as_bytes(), "it").map(|read| read.0.one);
        assert_eq!(read(r#"{"one":1}"#), Ok(1));
        for wrong in ["[1]", "[]", "1", r#"{"one":1,"one":1}"#, r#"{"two":1}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn null_is_no_value() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct One {
            #[serde(default, deserialize_with = "given")]
            one: Option<u8>,
        }
        let read = |text: &str| serde_json::from_str::<One>(text).map(|read| read.one);
        assert_eq!(read("{}").unwrap(), None);
        assert_eq!(read(r#"{"one":1}"#).unwrap(), Some(1));
        assert!(read(r#"{"one":null}"#).is_err());
    }
}
