//! CloudEvents 1.0: the attributes of an event are properties of its message, its data is the body.
//!
//! The names of the properties are those of the CloudEvents SDK for RocketMQ
//! (`io.cloudevents.rocketmq`): `CE_` before each attribute, `CE_contenttype` for
//! `datacontenttype`. An event without data has a body of one zero byte there, because RocketMQ
//! takes no empty one.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::draft::{Draft, share};
use super::headers;
use super::media;
use super::problem::{Problem, Word};
use super::read::{self, shown};

/// The prefix of headers in binary mode.
pub(super) const HEADER: &str = "ce-";

/// The prefix of properties.
pub(super) const PROPERTY: &str = "CE_";

/// The property with the content type of the data.
pub(super) const CONTENT_TYPE: &str = "CE_contenttype";

/// The property that every event has.
pub(super) const SPEC_VERSION: &str = "CE_specversion";

/// The body of an event without data.
pub(super) const NO_DATA: &[u8] = b"\0";

/// Attributes that every event has.
const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];

/// The only version of the specification.
const VERSION: &str = "1.0";

/// Most attributes of an event.
const ATTRIBUTES_MAX: usize = 64;

/// Most characters of an attribute's name; the specification recommends 20.
const NAME_MAX: usize = 64;

/// The body of an event with that data.
fn body_of(data: Bytes) -> Bytes {
    match data.is_empty() {
        true => Bytes::from_static(NO_DATA),
        false => data,
    }
}

fn wrong(name: &str, detail: String) -> Problem {
    Problem::invalid(detail).of(&format!("event {}", shown(name)))
}

/// Whether a message is an event in binary mode.
pub(super) fn is_binary(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(HEADER))
}

/// Adds the attributes in headers to the message, whose body is the event's data.
///
/// # Errors
/// When an attribute is missing, there twice, malformed or unknown.
pub(super) fn read_binary(
    headers: &HeaderMap,
    content_type: Option<&str>,
    draft: &mut Draft,
) -> Result<(), Problem> {
    let mut attributes = Attributes::default();
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix(HEADER) else {
            continue;
        };
        if name == "datacontenttype" {
            let detail = "send the content type of the data as Content-Type".to_owned();
            return Err(wrong(name, detail));
        }
        attributes.push(name, headers::text(header.as_str(), value)?)?;
    }
    attributes.finish(content_type, draft)?;
    draft.body = body_of(std::mem::take(&mut draft.body));
    Ok(())
}

/// Reads an event in structured mode. `whole` is the request's body, in which the event stands.
///
/// # Errors
/// When it is no event as JSON.
pub(super) fn read_structured(
    whole: &Bytes,
    event: &[u8],
    draft: &mut Draft,
) -> Result<(), Problem> {
    let members: Members<'_> = read::json(event, "the event")?;
    let mut attributes = Attributes::default();
    let (mut content_type, mut data, mut base64) = (None, None, None);
    for (name, value) in members.0 {
        match &*name {
            "data" => data = Some(value),
            "data_base64" => base64 = text_of(value),
            "datacontenttype" => content_type = text_of(value),
            _ => {
                if let Some(value) = attribute(&name, value)? {
                    attributes.push(&name, value)?;
                }
            }
        }
    }
    let data = data.filter(|data| data.get() != "null");
    let body = match (data, base64) {
        (Some(_), Some(_)) => {
            let detail = "data and data_base64 exclude each other: send one of them".to_owned();
            return Err(wrong("data", detail));
        }
        (None, None) => Bytes::new(),
        (None, Some(base64)) => STANDARD
            .decode(&*base64)
            .map_err(|error| wrong("data_base64", format!("data_base64 is no base64: {error}")))?
            .into(),
        (Some(data), None) => {
            let content_type = content_type.get_or_insert(Cow::Borrowed("application/json"));
            match text_of(data).filter(|_| !media::is_json(content_type)) {
                Some(text) => share(whole, bytes_of(text)),
                None => share(whole, Cow::Borrowed(data.get().as_bytes())),
            }
        }
    };
    attributes.finish(content_type.as_deref(), draft)?;
    draft.body = body_of(body);
    Ok(())
}

/// A string of JSON; `None` for any other value.
fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    let text: read::Text<'_> = serde_json::from_str(value.get()).ok()?;
    Some(text.0)
}

fn bytes_of(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The value of an attribute: a string, an integer or a Boolean; `None` for `null`, which is an
/// attribute that is not set.
fn attribute<'a>(name: &str, value: &'a RawValue) -> Result<Option<Cow<'a, str>>, Problem> {
    if let Some(text) = text_of(value) {
        return Ok(Some(text));
    }
    let raw = value.get();
    let is_number = || {
        let number: Result<i32, _> = raw.parse();
        number.is_ok()
    };
    match raw {
        "null" => Ok(None),
        "true" | "false" => Ok(Some(raw.into())),
        _ if is_number() => Ok(Some(raw.into())),
        _ => {
            let detail = format!(
                "the attribute {} must be a string, an integer or a Boolean",
                shown(name)
            );
            Err(wrong(name, detail))
        }
    }
}

/// The attributes of an event, each once.
#[derive(Debug, Default)]
struct Attributes(Vec<(String, String)>);

impl Attributes {
    fn push(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), Problem> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(is_allowed) {
            let shown = shown(name);
            let detail = format!(
                "the name of the attribute {shown:?} must be 1 to {NAME_MAX} of a-z and 0-9"
            );
            return Err(wrong(name, detail));
        }
        if self.0.iter().any(|(before, _)| before == name) {
            return Err(wrong(name, format!("the attribute {name} is there twice")));
        }
        if self.0.len() == ATTRIBUTES_MAX {
            let detail = format!("the event has more than {ATTRIBUTES_MAX} attributes");
            return Err(wrong(name, detail));
        }
        if value.is_empty() {
            return Err(wrong(
                name,
                format!("the attribute {name} is empty: leave it out"),
            ));
        }
        self.0.push((name.to_owned(), value.into_owned()));
        Ok(())
    }

    /// Makes them properties of the message.
    fn finish(self, content_type: Option<&str>, draft: &mut Draft) -> Result<(), Problem> {
        for name in REQUIRED {
            let value = self.0.iter().find(|(given, _)| given == name);
            match value {
                None => return Err(wrong(name, format!("the event has no {name}"))),
                Some((_, version)) if name == "specversion" && version != VERSION => {
                    let version = shown(version);
                    let detail = format!("specversion must be {VERSION}; it is {version:?}");
                    return Err(wrong(name, detail));
                }
                Some(_) => {}
            }
        }
        for (name, value) in self.0 {
            draft.push(format!("{PROPERTY}{name}"), value)?;
        }
        draft.set_content_type(CONTENT_TYPE, content_type.unwrap_or_default());
        Ok(())
    }
}

/// The members of an event, each once.
#[derive(Debug)]
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event, as a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // Data, its base64 and its content type are no attributes.
                const MEMBERS_MAX: usize = ATTRIBUTES_MAX + 3;
                let mut pairs: Self::Value = Vec::new();
                while let Some(read::Text(name)) = map.next_key()? {
                    if pairs.len() == MEMBERS_MAX {
                        let text = format!("more than {MEMBERS_MAX} members");
                        return Err(A::Error::custom(text));
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

        Ok(Self(deserializer.deserialize_map(Pairs)?))
    }
}

/// That the headers have no event: the body is one.
///
/// # Errors
/// A structured event in headers and in the body at the same time.
pub(super) fn ensure_one_mode(headers: &HeaderMap) -> Result<(), Problem> {
    match is_binary(headers) {
        false => Ok(()),
        true => {
            let detail = "the event stands in the body: leave the headers ce-* out";
            Err(Problem::new(Word::Invalid, detail).of("header ce-id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{
        "specversion": "1.0", "id": "7", "source": "/s", "type": "t",
        "subject": null, "count": 3, "flag": true, "time": "2026-11-21T09:36:16Z"
    "#;

    fn structured(members: &str) -> Result<Draft, Problem> {
        let event = Bytes::from(format!("{EVENT}{members}}}"));
        let mut draft = Draft::default();
        read_structured(&event, &event, &mut draft)?;
        Ok(draft)
    }

    fn property<'a>(draft: &'a Draft, name: &str) -> Option<&'a str> {
        let mut properties = draft.properties.iter();
        let found = properties.find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn structured_events_are_read() {
        for (members, body, content_type) in [
            ("", "\0", None),
            (r#", "data": null"#, "\0", None),
            (
                r#", "data": {"a": [1, 2.50]}"#,
                r#"{"a": [1, 2.50]}"#,
                Some("application/json"),
            ),
            (r#", "data": "text""#, r#""text""#, Some("application/json")),
            (
                r#", "data": "te\nxt", "datacontenttype": "text/plain""#,
                "te\nxt",
                Some("text/plain"),
            ),
            (
                r#", "datacontenttype": "application/x+json", "data": "text""#,
                r#""text""#,
                Some("application/x+json"),
            ),
            (r#", "data_base64": "AP8=""#, "\0\u{ff}", None),
            (
                r#", "data_base64": "AA==", "datacontenttype": "image/png""#,
                "\0",
                Some("image/png"),
            ),
        ] {
            let draft = structured(members).unwrap();
            let expected: Vec<u8> = match body {
                "\0\u{ff}" => vec![0, 255],
                text => text.into(),
            };
            assert_eq!(draft.body, expected, "{members}");
            assert_eq!(property(&draft, CONTENT_TYPE), content_type, "{members}");
            for (name, value) in [
                ("CE_id", Some("7")),
                ("CE_specversion", Some("1.0")),
                ("CE_count", Some("3")),
                ("CE_flag", Some("true")),
                ("CE_subject", None),
            ] {
                assert_eq!(property(&draft, name), value, "{members}");
            }
        }
    }

    #[test]
    fn other_objects_are_no_events() {
        for members in [
            r#", "data": 1, "data_base64": "AA==""#,
            r#", "data_base64": "A""#,
            r#", "Upper": "x""#,
            r#", "with-dash": "x""#,
            r#", "empty": """#,
            r#", "object": {}"#,
            r#", "float": 1.5"#,
            r#", "large": 3000000000"#,
            r#", "id": "8""#,
            ",",
        ] {
            assert!(structured(members).is_err(), "{members}");
        }
        for event in [
            r#"{"id":"7","source":"/s","type":"t"}"#,
            r#"{"specversion":"0.3","id":"7","source":"/s","type":"t"}"#,
            r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#,
            r#"{"specversion":"1.0","id":"7","source":"/s","type":null}"#,
            "[]",
            "",
        ] {
            let whole = Bytes::from(event);
            let read = read_structured(&whole, &whole, &mut Draft::default());
            assert!(read.is_err(), "{event}");
        }
        let many: String = (0..ATTRIBUTES_MAX)
            .map(|nth| format!(", \"a{nth}\": 1"))
            .collect();
        assert!(structured(&many).is_err());
    }

    #[test]
    fn binary_events_are_read() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("ce-id", "7"),
            ("ce-source", "/s"),
            ("ce-type", "t%20%E4%B8%AD"),
            ("content-type", "text/plain"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        assert!(is_binary(&headers) && ensure_one_mode(&headers).is_err());
        let read = |headers: &HeaderMap, body: &'static [u8]| {
            let mut draft = Draft {
                body: Bytes::from_static(body),
                ..Draft::default()
            };
            read_binary(headers, Some("text/plain"), &mut draft).map(|()| draft)
        };
        let problem = read(&headers, b"x").unwrap_err();
        assert_eq!(problem.parameter.as_deref(), Some("event specversion"));
        headers.insert("ce-specversion", "1.0".parse().unwrap());
        let draft = read(&headers, b"x").unwrap();
        assert_eq!(draft.body, "x");
        assert_eq!(property(&draft, "CE_type"), Some("t 中"));
        assert_eq!(property(&draft, CONTENT_TYPE), Some("text/plain"));
        assert_eq!(read(&headers, b"").unwrap().body, NO_DATA);
        for (name, value) in [("ce-datacontenttype", "x"), ("ce-a_b", "x"), ("ce-x", "%")] {
            let mut headers = headers.clone();
            headers.insert(name, value.parse().unwrap());
            assert!(read(&headers, b"x").is_err(), "{name}");
        }
        headers.append("ce-id", "8".parse().unwrap());
        assert!(read(&headers, b"x").is_err());
        assert!(!is_binary(&HeaderMap::new()));
    }
}
