//! Content types.

use super::problem::{Problem, Word};

/// What a content type makes of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaType {
    /// None, or the one that `curl --data` names by itself.
    Absent,
    /// One JSON document.
    Json,
    /// A JSON document in each line.
    Lines,
    /// A CloudEvent in structured mode, as JSON.
    Event,
    /// CloudEvents in batched mode, as JSON.
    Events,
    /// Any other.
    Other,
}

/// What `curl` and forms send unless they are asked for another.
const OF_FORMS: &str = "application/x-www-form-urlencoded";

/// The prefix of the types of CloudEvents, each with a format behind it.
const OF_EVENTS: &str = "application/cloudevents";

impl MediaType {
    /// Of the value of `Content-Type`.
    ///
    /// # Errors
    /// When it is a CloudEvent of another format than JSON, or JSON of another charset than UTF-8.
    pub fn of(content_type: Option<&str>) -> Result<Self, Problem> {
        let Some(content_type) = content_type else {
            return Ok(Self::Absent);
        };
        let mut parts = content_type.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let media = match kind.as_str() {
            "" | OF_FORMS => Self::Absent,
            "application/json" => Self::Json,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Lines,
            "application/cloudevents+json" => Self::Event,
            "application/cloudevents-batch+json" => Self::Events,
            other if other.starts_with(OF_EVENTS) => {
                let detail = "CloudEvents are taken as JSON only: send \
                              application/cloudevents+json, or their attributes in headers ce-*";
                return Err(unsupported(detail));
            }
            _ => Self::Other,
        };
        let is_json = !matches!(media, Self::Absent | Self::Other);
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let is_charset = name.trim().eq_ignore_ascii_case("charset");
            is_charset.then(|| value.trim().trim_matches('"'))
        });
        match charset.filter(|charset| is_json && !charset.eq_ignore_ascii_case("utf-8")) {
            None => Ok(media),
            Some(_) => Err(unsupported("JSON is UTF-8: leave charset out")),
        }
    }
}

/// A content type that is not taken.
pub(super) fn unsupported(detail: &'static str) -> Problem {
    Problem::new(Word::WrongMedia, detail).of("header content-type")
}

/// Whether data of that content type is JSON (RFC 6839).
pub(super) fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let Some((_, subtype)) = kind.split_once('/') else {
        return false;
    };
    let subtype = subtype.to_ascii_lowercase();
    subtype == "json" || subtype.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_recognized() {
        for (text, media) in [
            (None, MediaType::Absent),
            (Some(""), MediaType::Absent),
            (Some("application/x-www-form-urlencoded"), MediaType::Absent),
            (Some("application/json"), MediaType::Json),
            (Some("Application/JSON; Charset=\"UTF-8\""), MediaType::Json),
            (Some("application/x-ndjson"), MediaType::Lines),
            (Some("application/jsonl"), MediaType::Lines),
            (
                Some("application/cloudevents+json;charset=utf-8"),
                MediaType::Event,
            ),
            (
                Some("application/cloudevents-batch+json"),
                MediaType::Events,
            ),
            (Some("text/plain; charset=iso-8859-1"), MediaType::Other),
            (Some("x"), MediaType::Other),
        ] {
            assert_eq!(MediaType::of(text), Ok(media), "{text:?}");
        }
        for wrong in [
            "application/json; charset=iso-8859-1",
            "application/cloudevents+avro",
            "application/cloudevents",
        ] {
            let problem = MediaType::of(Some(wrong)).unwrap_err();
            assert_eq!(problem.word, Word::WrongMedia, "{wrong}");
        }
    }

    #[test]
    fn json_has_many_names() {
        for (text, expected) in [
            ("application/json", true),
            ("text/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/jsonl", false),
            ("json", false),
            ("text/plain", false),
        ] {
            assert_eq!(is_json(text), expected, "{text}");
        }
    }
}
