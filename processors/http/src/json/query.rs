//! The parameters of a request's query.

use std::borrow::Cow;

use super::problem::Problem;
use super::time::{Span, Stamp};
use crate::percent;

/// Most parameters of a query.
const PARAMETERS_MAX: usize = 256;

/// The parameters behind the path, in their order. A `+` is a space, as HTML forms write it.
#[derive(Clone, Debug, Default)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Reads the part of a request's target behind `?`, and refuses parameters that are not among
    /// those `known`: a misspelt one would be ignored else.
    ///
    /// # Errors
    /// When an escape is wrong, a parameter is unknown, or there are too many.
    pub fn read(raw: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        let parts = raw.unwrap_or_default().split('&');
        for part in parts.filter(|part| !part.is_empty()) {
            if pairs.len() == PARAMETERS_MAX {
                let detail = format!("the query has more than {PARAMETERS_MAX} parameters");
                return Err(Problem::invalid(detail).of("query"));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decoded = percent::decode(name, true).zip(percent::decode(value, true));
            let Some((name, value)) = decoded else {
                let detail = format!(
                    "the query has a wrong escape in {:?}: write % as %25, and other bytes as \
                     %XX of UTF-8",
                    super::read::shown(part)
                );
                return Err(Problem::invalid(detail).of("query"));
            };
            if !known.contains(&&*name) {
                let detail = unknown(&name, known);
                return Err(
                    Problem::invalid(detail).of(&format!("query {}", super::read::shown(&name)))
                );
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// Whether there is no parameter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// All values of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.pairs.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| &**value)
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// When it is there twice.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.all(name);
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => {
                let detail = format!("the parameter {name} is there twice: send it once");
                Err(Problem::invalid(detail).of(&format!("query {name}")))
            }
        }
    }

    /// Whether a flag is set: it is there, without a value or as `true`.
    ///
    /// # Errors
    /// When it has another value than `true` and `false`, or is there twice.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(wrong(name, other, "true or false")),
        }
    }

    /// A duration.
    ///
    /// # Errors
    /// When it is none.
    pub fn span(&self, name: &str) -> Result<Option<Span>, Problem> {
        self.parsed(name, Span::parse, "a duration such as 30s (ms, s, m, h, d)")
    }

    /// A time.
    ///
    /// # Errors
    /// When it is none.
    pub fn stamp(&self, name: &str) -> Result<Option<Stamp>, Problem> {
        let expected = "a time such as 2026-11-21T09:36:16Z (RFC 3339; write + as %2B)";
        self.parsed(name, Stamp::parse, expected)
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is none.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Problem> {
        let parse = |text: &str| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| text.parse().ok()).flatten()
        };
        self.parsed(name, parse, "a whole number")
    }

    fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(wrong(name, text, expected)),
        }
    }
}

fn wrong(name: &str, value: &str, expected: &str) -> Problem {
    let value = super::read::shown(value);
    let detail = format!("the parameter {name} must be {expected}; it is {value:?}");
    Problem::invalid(detail).of(&format!("query {name}"))
}

fn unknown(name: &str, known: &[&str]) -> String {
    let name = super::read::shown(name);
    match known {
        [] => format!("the parameter {name:?} is unknown: this operation has none"),
        known => format!(
            "the parameter {name:?} is unknown: this operation has {}",
            known.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KNOWN: &[&str] = &["tag", "key", "delay", "at", "single", "max"];

    fn read(raw: &str) -> Query<'_> {
        Query::read(Some(raw), KNOWN).unwrap()
    }

    #[test]
    fn parameters_are_read() {
        let query = read("tag=a%26b&key=1&key=2+3&&single&delay=30s&max=032");
        assert_eq!(query.one("tag").unwrap(), Some("a&b"));
        assert_eq!(query.all("key").collect::<Vec<_>>(), ["1", "2 3"]);
        assert!(query.flag("single").unwrap());
        assert_eq!(
            query.span("delay").unwrap(),
            Some(Span(Duration::from_secs(30)))
        );
        assert_eq!(query.number("max").unwrap(), Some(32));
        assert_eq!(query.one("at").unwrap(), None);
        assert!(!query.is_empty() && read("").is_empty());
        assert!(Query::read(None, &[]).unwrap().is_empty());
        assert_eq!(read("tag=a=b").one("tag").unwrap(), Some("a=b"));
        for (text, set) in [
            ("single", true),
            ("single=true", true),
            ("single=false", false),
        ] {
            assert_eq!(read(text).flag("single").unwrap(), set, "{text}");
        }
    }

    #[test]
    fn other_parameters_are_refused() {
        for wrong in ["tags=a", "tag=%", "%ff=1", "Tag=a", "tag%00=a"] {
            let problem = Query::read(Some(wrong), KNOWN).unwrap_err();
            assert!(problem.parameter.unwrap().starts_with("query"), "{wrong}");
        }
        let many = "key&".repeat(PARAMETERS_MAX + 1);
        assert!(Query::read(Some(&many), KNOWN).is_err());
        assert!(
            Query::read(Some("tag"), &[])
                .unwrap_err()
                .detail
                .contains("has none")
        );
        assert!(read("tag=a&tag=a").one("tag").is_err());
        assert!(read("single=1").flag("single").is_err());
        assert!(read("delay=30").span("delay").is_err());
        assert!(read("at=2026-11-21T09:36:16+01:00").stamp("at").is_err());
        for wrong in ["max=-1", "max=+1", "max=", "max=300"] {
            let number = read(wrong).number::<u8>("max");
            assert_eq!(
                number.unwrap_err().parameter.as_deref(),
                Some("query max"),
                "{wrong}"
            );
        }
    }
}
