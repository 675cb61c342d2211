//! Headers that carry a message's metadata.
//!
//! Values, and names of properties, are percent-encoded where they have bytes that headers cannot
//! carry, as CloudEvents have it. So any text gets through, in both directions. UTF-8 that is not
//! encoded is read too.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::problem::Problem;
use super::read::shown;
use crate::percent;

/// The prefix of the headers of this API.
pub(super) const PREFIX: &str = "x-mq-";

/// The prefix of the headers that carry properties.
const PROPERTY: &str = "x-mq-property-";

/// The header that names the namespace of topics and groups.
const NAMESPACE: &str = "x-mq-namespace";

fn wrong(name: &str, detail: String) -> Problem {
    Problem::invalid(detail).of(&format!("header {}", shown(name)))
}

/// The text of a header's value.
///
/// # Errors
/// When it is not UTF-8, or an escape is wrong.
pub(super) fn text<'a>(name: &str, value: &'a HeaderValue) -> Result<Cow<'a, str>, Problem> {
    let text = std::str::from_utf8(value.as_bytes()).ok();
    let text = text.and_then(|text| percent::decode(text, false));
    text.ok_or_else(|| {
        let name = shown(name);
        let detail = format!(
            "the header {name} must be UTF-8, with % written as %25, and what a header cannot \
             carry as %XX"
        );
        wrong(&name, detail)
    })
}

/// The text of a header that may be there once.
///
/// # Errors
/// When it is there twice, or is no text.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<Cow<'a, str>>, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        let detail = format!("the header {name} is there twice: send it once");
        return Err(wrong(name, detail));
    }
    value.map(|value| text(name, value)).transpose()
}

/// A header that is no metadata of a message, as it is.
///
/// # Errors
/// When it is there twice, or not visible ASCII.
pub(super) fn plain<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    let value = value.map(HeaderValue::to_str).transpose();
    match (value, values.next()) {
        (Ok(value), None) => Ok(value),
        _ => {
            let detail = format!("the header {name} must be there once, in visible ASCII");
            Err(wrong(name, detail))
        }
    }
}

/// The content type of the request, if it names one.
///
/// # Errors
/// When it is there twice, or not visible ASCII.
pub fn content_type(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    plain(headers, CONTENT_TYPE.as_str())
}

/// Refuses headers of this API that are not among those `known`, without their prefix: a misspelt
/// one would be ignored else.
///
/// # Errors
/// When there is another.
pub(super) fn only(headers: &HeaderMap, known: &[&str]) -> Result<(), Problem> {
    let of_api = headers.keys().filter(|name| {
        let name = name.as_str();
        name.starts_with(PREFIX) && !name.starts_with(PROPERTY) && name != NAMESPACE
    });
    for name in of_api {
        let own = name.as_str().strip_prefix(PREFIX).unwrap_or_default();
        if !known.contains(&own) {
            let detail = format!(
                "the header {} is unknown: this operation has {PREFIX} with {}",
                shown(name.as_str()),
                known.join(", ")
            );
            return Err(wrong(name.as_str(), detail));
        }
    }
    Ok(())
}

/// The properties in headers, by their names, which are in lower case unless they are escaped:
/// HTTP does not keep the case of header names.
///
/// # Errors
/// When a name is there twice, or a name or a value is no text.
pub(super) fn properties(
    headers: &HeaderMap,
) -> impl Iterator<Item = Result<(String, String), Problem>> {
    headers.iter().filter_map(|(header, value)| {
        let name = header.as_str().strip_prefix(PROPERTY)?;
        let read = || {
            let decoded = percent::decode(name, false).filter(|name| !name.is_empty());
            let name = decoded.ok_or_else(|| {
                let detail = format!(
                    "the name of the property in the header {} is empty or has a wrong escape",
                    shown(header.as_str())
                );
                wrong(header.as_str(), detail)
            })?;
            let value = text(header.as_str(), value)?;
            Ok((name.into_owned(), value.into_owned()))
        };
        Some(read())
    })
}

/// A header of this API with that text.
pub(super) fn header(name: &'static str, text: &str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), value(text))
}

/// The header of a property; `None` if its name is too long for one.
pub(super) fn property(name: &str, text: &str) -> Option<(HeaderName, HeaderValue)> {
    let is_plain = |byte: u8| {
        let is_sign = matches!(byte, b'-' | b'_' | b'.');
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_sign
    };
    let name = format!("{PROPERTY}{}", percent::encode(name, is_plain));
    let name = HeaderName::try_from(name).ok()?;
    Some((name, value(text)))
}

/// The value of a header with that text. Spaces at its ends would be taken off.
pub(super) fn value(text: &str) -> HeaderValue {
    let has_end = text.starts_with(' ') || text.ends_with(' ');
    let is_plain = |byte: u8| byte.is_ascii_graphic() || (byte == b' ' && !has_end);
    let encoded = percent::encode(text, is_plain);
    HeaderValue::from_str(&encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn values_are_read_in_both_forms() {
        let all = headers(&[
            ("x-mq-tag", b"%E4%B8%AD %25"),
            ("x-mq-group", "中".as_bytes()),
            ("x-mq-lite", b"100%"),
            ("x-mq-at", b"\xff"),
            ("x-mq-key", b"a"),
            ("x-mq-key", b"b"),
            ("content-type", b"a%b"),
        ]);
        assert_eq!(one(&all, "x-mq-tag").unwrap().as_deref(), Some("中 %"));
        assert_eq!(one(&all, "x-mq-group").unwrap().as_deref(), Some("中"));
        assert_eq!(one(&all, "x-mq-delay").unwrap(), None);
        for wrong in ["x-mq-lite", "x-mq-at", "x-mq-key"] {
            let problem = one(&all, wrong).unwrap_err();
            assert_eq!(problem.parameter, Some(format!("header {wrong}")));
        }
        assert_eq!(plain(&all, "content-type").unwrap(), Some("a%b"));
        assert!(plain(&all, "x-mq-key").is_err() && plain(&all, "x-mq-group").is_err());
        assert_eq!(content_type(&all).unwrap(), Some("a%b"));
    }

    #[test]
    fn unknown_headers_are_refused() {
        let all = headers(&[
            ("x-mq-tag", b"a"),
            ("x-mq-property-any", b"b"),
            ("x-mq-namespace", b"n"),
            ("x-other", b"c"),
        ]);
        assert_eq!(only(&all, &["tag"]), Ok(()));
        let problem = only(&all, &["key"]).unwrap_err();
        assert_eq!(problem.parameter.as_deref(), Some("header x-mq-tag"));
    }

    #[test]
    fn properties_come_back_as_they_were() {
        for (name, text) in [
            ("color", "red"),
            ("Color", "a b"),
            ("with space", " x "),
            ("ключ", "значение"),
            ("percent%", "100%"),
            ("a:b", "line\nbreak\u{1}"),
            ("x", ""),
        ] {
            let (header, value) = property(name, text).unwrap();
            // As HTTP/1.1 would carry it.
            let carried = headers(&[(header.as_str(), value.as_bytes())]);
            let read: Result<Vec<_>, _> = properties(&carried).collect();
            assert_eq!(read.unwrap(), [(name.to_owned(), text.to_owned())]);
        }
        let (header, _) = property("Color", "red").unwrap();
        assert_eq!(header.as_str(), "x-mq-property-%43olor");
        assert_eq!(property(&"x".repeat(70_000), ""), None);
        for wrong in ["x-mq-property-", "x-mq-property-%4", "x-mq-property-%ff"] {
            let carried = headers(&[(wrong, b"")]);
            assert!(properties(&carried).all(|read| read.is_err()), "{wrong}");
        }
    }
}
