//! Several messages in one request. An entry that is wrong does not keep the others back.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cloud_event;
use super::draft::{self, CONTENT_TYPE, Draft, KEYS_MAX, PROPERTIES_MAX, share};
use super::media::{self, MediaType};
use super::problem::{Problem, Word};
use super::read::{self, Bounded, Object, Text, Texts, given};
use super::time::{Span, Stamp};

/// Most messages of a batch.
pub const BATCH_MAX: usize = 1024;

/// The form of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One JSON document with an array of messages.
    Json,
    /// A message in each line.
    Lines,
    /// An array of CloudEvents.
    Events,
}

impl Format {
    /// By the content type. Without one, and with the one that `curl` sends by itself, it is JSON.
    ///
    /// # Errors
    /// [`Word::WrongMedia`] when it is no form of a batch.
    pub fn of(content_type: Option<&str>) -> Result<Self, Problem> {
        match MediaType::of(content_type)? {
            MediaType::Absent | MediaType::Json => Ok(Self::Json),
            MediaType::Lines => Ok(Self::Lines),
            MediaType::Events => Ok(Self::Events),
            MediaType::Event | MediaType::Other => {
                let detail = "a batch is application/json, application/x-ndjson or \
                              application/cloudevents-batch+json";
                Err(media::unsupported(detail))
            }
        }
    }
}

/// The document of a batch as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    messages: Bounded<&'a RawValue, BATCH_MAX>,
}

/// A message as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    body: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "given")]
    body_base64: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "given")]
    json: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "given")]
    content_type: Option<String>,
    #[serde(default, deserialize_with = "given")]
    tag: Option<String>,
    #[serde(default)]
    keys: Bounded<String, KEYS_MAX>,
    #[serde(default, deserialize_with = "given")]
    group: Option<String>,
    #[serde(default, deserialize_with = "given")]
    delay: Option<Span>,
    #[serde(default, deserialize_with = "given")]
    at: Option<Stamp>,
    #[serde(default, deserialize_with = "given")]
    priority: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    lite: Option<String>,
    #[serde(default)]
    properties: Texts<PROPERTIES_MAX>,
    #[serde(default, deserialize_with = "given")]
    idempotency_key: Option<String>,
}

/// A message of a batch, or why it is none.
type Read = Result<Draft, Problem>;

/// Reads the messages of a batch: one draft or problem for each entry, in their order.
///
/// # Errors
/// When the body as a whole is not of that form, has no entry, or has more than [`BATCH_MAX`].
pub fn read_batch(format: Format, body: &Bytes) -> Result<Vec<Read>, Problem> {
    let read: Vec<Read> = match format {
        Format::Json => {
            let Object::<Document<'_>>(document) = read::json(body, "the body")?;
            let entries = document.messages.0.iter();
            entries
                .map(|entry| message(body, entry.get().as_bytes()))
                .collect()
        }
        Format::Events => {
            let events: Bounded<&RawValue, BATCH_MAX> = read::json(body, "the body")?;
            let events = events.0.iter();
            events
                .map(|entry| event(body, entry.get().as_bytes()))
                .collect()
        }
        Format::Lines => {
            let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            let mut lines = lines.filter(|line| !line.is_empty());
            let read = lines.by_ref().take(BATCH_MAX);
            let read = read.map(|line| message(body, line)).collect();
            if lines.next().is_some() {
                let detail = format!("the body has more than {BATCH_MAX} messages");
                return Err(Problem::new(Word::InvalidBody, detail));
            }
            read
        }
    };
    match read.is_empty() {
        false => Ok(read),
        true => Err(Problem::new(
            Word::InvalidBody,
            "the body has no message: send one at least",
        )),
    }
}

fn event(whole: &Bytes, text: &[u8]) -> Read {
    let mut draft = Draft::default();
    cloud_event::read_structured(whole, text, &mut draft)?;
    Ok(draft)
}

fn message(whole: &Bytes, text: &[u8]) -> Read {
    let Object::<Entry<'_>>(entry) = read::json(text, "the message")?;
    let mut draft = Draft {
        tag: entry.tag,
        group: entry.group,
        delivery: draft::delivery(entry.delay.map(|span| span.0), entry.at.map(|at| at.0))?,
        lite: entry.lite,
        ..Draft::default()
    };
    if let Some(priority) = entry.priority {
        let priority = i32::try_from(priority);
        let wrong = |_| Problem::invalid("the priority is too large").of("priority");
        draft.priority = Some(priority.map_err(wrong)?);
    }
    if let Some(key) = &entry.idempotency_key {
        draft.message_id = Some(draft::message_id(key)?);
    }
    for key in &entry.keys.0 {
        draft.push_key(key)?;
    }
    for (name, value) in entry.properties.0 {
        draft.push(name, value)?;
    }
    let mut content_type = entry.content_type;
    draft.body = match (entry.body, entry.body_base64, entry.json) {
        (Some(Text(text)), None, None) => share(whole, bytes(text)),
        (None, Some(text), None) => decoded(&text.0)?,
        (None, None, Some(value)) => {
            content_type.get_or_insert_with(|| "application/json".to_owned());
            share(whole, Cow::Borrowed(value.get().as_bytes()))
        }
        _ => {
            let detail = "a message has one of body, bodyBase64 and json";
            return Err(Problem::invalid(detail).of("body"));
        }
    };
    draft.set_content_type(CONTENT_TYPE, content_type.as_deref().unwrap_or_default());
    Ok(draft)
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// What stands in base64, in the standard alphabet with padding (RFC 4648, section 4).
fn decoded(text: &str) -> Result<Bytes, Problem> {
    let decoded = STANDARD.decode(text).map_err(|error| {
        let detail = format!("bodyBase64 is no base64 of the standard alphabet: {error}");
        Problem::invalid(detail).of("bodyBase64")
    })?;
    Ok(decoded.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::draft::Delivery;
    use super::*;

    fn read(format: Format, body: &str) -> Result<Vec<Read>, Problem> {
        read_batch(format, &Bytes::from(body.to_owned()))
    }

    fn one(entry: &str) -> Read {
        let mut read = read(Format::Json, &format!("{{\"messages\":[{entry}]}}")).unwrap();
        read.remove(0)
    }

    #[test]
    fn a_message_has_all_that_a_raw_request_has() {
        let draft = one(
            r#"{"body":"ключ","contentType":"text/plain","tag":"t","keys":["1","2"],"group":"g",
                "delay":"30s","priority":3,"lite":"l","properties":{"Color":"red"},
                "idempotencyKey":"id-1"}"#,
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = Draft {
            body: "ключ".into(),
            tag: Some("t".to_owned()),
            keys: vec!["1".to_owned(), "2".to_owned()],
            group: Some("g".to_owned()),
            delivery: Some(Delivery::After(Duration::from_secs(30))),
            priority: Some(3),
            lite: Some("l".to_owned()),
            properties: vec![pair("Color", "red"), pair("content-type", "text/plain")],
            message_id: Some("id-1".to_owned()),
            transaction: None,
        };
        assert_eq!(draft, Ok(expected));
        for (entry, body) in [
            (r#"{"body":"a\nb\u0000"}"#, &b"a\nb\0"[..]),
            (r#"{"bodyBase64":"AP8="}"#, &[0, 255]),
            (r#"{"json":{"a": [1, 2.50]}}"#, br#"{"a": [1, 2.50]}"#),
            (r#"{"json":null}"#, b"null"),
            (r#"{"body":""}"#, b""),
        ] {
            assert_eq!(one(entry).unwrap().body, body, "{entry}");
        }
        let json = one(r#"{"json":1}"#).unwrap();
        assert_eq!(json.properties, [pair("content-type", "application/json")]);
    }

    #[test]
    fn bodies_share_the_memory_of_the_request() {
        let whole = Bytes::from(r#"{"messages":[{"body":"plain"},{"json":[1]}]}"#);
        let read = read_batch(Format::Json, &whole).unwrap();
        let range = whole.as_ptr_range();
        for draft in read {
            assert!(range.contains(&draft.unwrap().body.as_ptr()));
        }
    }

    #[test]
    fn a_wrong_message_does_not_keep_the_others_back() {
        for wrong in [
            r#"{}"#,
            r#"{"body":"a","json":1}"#,
            r#"{"body":"a","tags":"b"}"#,
            r#"{"body":"a","tag":null}"#,
            r#"{"body":null}"#,
            r#"{"body":1}"#,
            r#"{"body":"a","body":"b"}"#,
            r#"{"bodyBase64":"AP8"}"#,
            r#"{"bodyBase64":"_-8="}"#,
            r#"{"body":"a","keys":["a b"]}"#,
            r#"{"body":"a","delay":"30"}"#,
            r#"{"body":"a","delay":30}"#,
            r#"{"body":"a","at":"tomorrow"}"#,
            r#"{"body":"a","at":"2026-11-21T09:36:16Z","delay":"1s"}"#,
            r#"{"body":"a","priority":-1}"#,
            r#"{"body":"a","priority":3000000000}"#,
            r#"{"body":"a","properties":{"a":1}}"#,
            r#"{"body":"a","properties":{"content-type":"b"}}"#,
            r#"{"body":"a","transaction":true}"#,
            r#"["a"]"#,
            "1",
        ] {
            let body = format!(r#"{{"messages":[{{"body":"x"}},{wrong},{{"body":"y"}}]}}"#);
            let read = read(Format::Json, &body).unwrap();
            let is_right: Vec<_> = read.iter().map(Result::is_ok).collect();
            assert_eq!(is_right, [true, false, true], "{wrong}");
        }
    }

    #[test]
    fn lines_are_messages() {
        let body = "{\"body\":\"a\"}\r\n\n  {\"body\":\"b\"}\n{\"body\":\nx";
        let read = read(Format::Lines, body).unwrap();
        let bodies: Vec<_> = read.iter().map(|read| read.as_ref().ok()).collect();
        let bodies: Vec<_> = bodies
            .iter()
            .map(|draft| draft.map(|draft| &draft.body[..]))
            .collect();
        assert_eq!(bodies, [Some(&b"a"[..]), Some(b"b"), None, None]);
        let no_text = Bytes::from_static(b"{\"body\":\"\xff\"}");
        let read = read_batch(Format::Lines, &no_text).unwrap();
        assert_eq!(read[0].as_ref().unwrap_err().word, Word::InvalidBody);
    }

    #[test]
    fn events_are_messages() {
        let event = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t"}"#;
        let read = read(Format::Events, &format!("[{event},{{}},{event}]")).unwrap();
        let is_right: Vec<_> = read.iter().map(Result::is_ok).collect();
        assert_eq!(is_right, [true, false, true]);
    }

    #[test]
    fn a_body_that_is_no_batch_is_refused() {
        let entry = r#"{"body":"a"}"#;
        let many = vec![entry; BATCH_MAX + 1];
        for (format, body) in [
            (Format::Json, "".to_owned()),
            (Format::Json, entry.to_owned()),
            (Format::Json, format!("[[{entry}]]")),
            (Format::Json, r#"{"messages":[]}"#.to_owned()),
            (Format::Json, r#"{"messages":{}}"#.to_owned()),
            (Format::Json, r#"{"messages":[],"more":1}"#.to_owned()),
            (Format::Json, format!("{{\"messages\":[{entry}]}} x")),
            (
                Format::Json,
                format!("{{\"messages\":[{}]}}", many.join(",")),
            ),
            (Format::Events, "{}".to_owned()),
            (Format::Events, "[]".to_owned()),
            (Format::Events, format!("[{}]", many.join(","))),
            (Format::Lines, "\n\n".to_owned()),
            (Format::Lines, many.join("\n")),
        ] {
            let problem = read(format, &body).unwrap_err();
            assert_eq!(problem.word, Word::InvalidBody, "{format:?} {:.100}", body);
        }
        let most = vec![entry; BATCH_MAX].join("\n");
        assert_eq!(read(Format::Lines, &most).unwrap().len(), BATCH_MAX);
    }

    #[test]
    fn the_content_type_names_the_form() {
        for (content_type, format) in [
            (None, Some(Format::Json)),
            (Some("application/json"), Some(Format::Json)),
            (
                Some("application/x-www-form-urlencoded"),
                Some(Format::Json),
            ),
            (Some("application/x-ndjson"), Some(Format::Lines)),
            (
                Some("application/cloudevents-batch+json"),
                Some(Format::Events),
            ),
            (Some("application/cloudevents+json"), None),
            (Some("text/plain"), None),
        ] {
            assert_eq!(Format::of(content_type).ok(), format, "{content_type:?}");
        }
    }
}
