//! What a consumer asks for: a pull, a stream of messages, transactions to decide.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::problem::{Problem, Word};
use super::query::Query;
use super::read::{self, Object, given};
use super::time::Span;

/// Most messages of a pull: brokers hand out no more at a time (`MAX_MSG_NUMS_FOR_POP_REQUEST`).
const MESSAGES_MAX: u32 = 32;
/// Messages of a pull that names no number.
const MESSAGES: u32 = 10;
/// The longest wait for messages.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// For how long messages are invisible to others, unless the client says so.
const INVISIBLE: Duration = Duration::from_mins(1);
/// The bounds of that time (`minInvisibleTimeMillsForRecv`, `maxInvisibleTimeMills` of the Java
/// proxy).
const INVISIBLE_MIN: Duration = Duration::from_secs(10);
const INVISIBLE_MAX: Duration = Duration::from_hours(12);
/// Most messages of a stream that are not acknowledged, and their number if the client names none.
const UNACKNOWLEDGED_MAX: u32 = 1000;
const UNACKNOWLEDGED: u32 = 100;
/// Most characters of an attempt's id.
const ATTEMPT_MAX: usize = 255;

/// Which messages a consumer wants.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Those of these tags, with `||` between them.
    Tags(String),
    /// Those for which the SQL92 expression is true.
    Sql(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sql {
    sql: String,
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Filter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tags such as \"a||b\", or {\"sql\": \"a > 1\"}")
            }

            fn visit_str<E: de::Error>(self, tags: &str) -> Result<Filter, E> {
                Ok(Filter::Tags(tags.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Filter, A::Error> {
                let Sql { sql } = Sql::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Filter::Sql(sql))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// A request for messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pull {
    /// The greatest number of messages.
    pub max: u32,
    /// How long messages are waited for.
    pub wait: Duration,
    /// For how long the messages are invisible to others of the group.
    pub invisible: Duration,
    /// Which messages.
    pub filter: Filter,
    /// In a group in order: a repeated request with the same id gets the same messages.
    pub attempt_id: Option<String>,
    /// Whether one message is wanted, as it is, with metadata in headers.
    pub is_single: bool,
}

/// A request for a stream of messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Events {
    /// How many messages may be unacknowledged before the stream waits.
    pub max: u32,
    /// For how long the messages are invisible to others of the group.
    pub invisible: Duration,
    /// Which messages.
    pub filter: Filter,
}

/// A request for transactions to decide.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// The greatest number of transactions.
    pub max: u32,
    /// How long they are waited for.
    pub wait: Duration,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    #[serde(default, deserialize_with = "given")]
    max: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    wait: Option<Span>,
    #[serde(default, deserialize_with = "given")]
    invisible: Option<Span>,
    #[serde(default, deserialize_with = "given")]
    filter: Option<Filter>,
    #[serde(default, deserialize_with = "given")]
    attempt_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckDocument {
    #[serde(default, deserialize_with = "given")]
    max: Option<u32>,
    #[serde(default, deserialize_with = "given")]
    wait: Option<Span>,
}

/// What stands in the body or in the query, never in both.
fn document<'a, T: Default + Deserialize<'a>>(
    body: &'a [u8],
    is_in_query: bool,
) -> Result<Option<T>, Problem> {
    match (body.trim_ascii().is_empty(), is_in_query) {
        (true, _) => Ok(None),
        (false, false) => {
            let Object(document) = read::json(body, "the body")?;
            Ok(Some(document))
        }
        (false, true) => {
            let detail = "what is asked for stands in the query and in the body: send one of them";
            Err(Problem::new(Word::InvalidBody, detail))
        }
    }
}

fn within<T: Copy + PartialOrd + fmt::Display>(
    name: &str,
    asked: Option<T>,
    default: T,
    (least, most): (T, T),
) -> Result<T, Problem> {
    let asked = asked.unwrap_or(default);
    match (least..=most).contains(&asked) {
        true => Ok(asked),
        false => {
            let detail = format!("{name} must be {least} to {most}; it is {asked}");
            Err(Problem::invalid(detail).of(name))
        }
    }
}

fn wait(asked: Option<Span>) -> Result<Duration, Problem> {
    let bounds = (Span::default(), Span(WAIT_MAX));
    within("wait", asked, Span::default(), bounds).map(|span| span.0)
}

fn invisible(asked: Option<Span>) -> Result<Duration, Problem> {
    let bounds = (Span(INVISIBLE_MIN), Span(INVISIBLE_MAX));
    within("invisible", asked, Span(INVISIBLE), bounds).map(|span| span.0)
}

/// The filter in a query: tags in `filter`, or an expression in `sql`.
fn filter(query: &Query<'_>) -> Result<Option<Filter>, Problem> {
    match (query.one("filter")?, query.one("sql")?) {
        (None, None) => Ok(None),
        (Some(tags), None) => Ok(Some(Filter::Tags(tags.to_owned()))),
        (None, Some(sql)) => Ok(Some(Filter::Sql(sql.to_owned()))),
        (Some(_), Some(_)) => {
            let detail = "filter and sql exclude each other: send one of them";
            Err(Problem::invalid(detail).of("query sql"))
        }
    }
}

impl Pull {
    const KNOWN: &[&str] = &[
        "single",
        "max",
        "wait",
        "invisible",
        "filter",
        "sql",
        "attemptId",
    ];

    /// Reads the request: the body, or the query if there is no body. `single` stands in the query.
    ///
    /// # Errors
    /// When it is malformed or exceeds a limit.
    pub fn read(raw_query: Option<&str>, body: &[u8]) -> Result<Self, Problem> {
        let query = Query::read(raw_query, Self::KNOWN)?;
        let is_single = query.flag("single")?;
        let mut others = Self::KNOWN.iter().filter(|name| **name != "single");
        let is_in_query = others.any(|name| query.all(name).next().is_some());
        let document: Document = match document(body, is_in_query)? {
            Some(document) => document,
            None => Document {
                max: query.number("max")?,
                wait: query.span("wait")?,
                invisible: query.span("invisible")?,
                filter: filter(&query)?,
                attempt_id: query.one("attemptId")?.map(str::to_owned),
            },
        };
        let most = if is_single { 1 } else { MESSAGES_MAX };
        let attempt_id = document.attempt_id;
        if attempt_id.as_ref().is_some_and(|id| !is_attempt(id)) {
            let detail = format!("attemptId must have 1 to {ATTEMPT_MAX} visible ASCII characters");
            return Err(Problem::invalid(detail).of("attemptId"));
        }
        Ok(Self {
            max: within("max", document.max, MESSAGES.min(most), (1, most))?,
            wait: wait(document.wait)?,
            invisible: invisible(document.invisible)?,
            filter: document.filter.unwrap_or_default(),
            attempt_id,
            is_single,
        })
    }
}

fn is_attempt(id: &str) -> bool {
    (1..=ATTEMPT_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Events {
    /// Reads the query.
    ///
    /// # Errors
    /// When it is malformed or exceeds a limit.
    pub fn read(raw_query: Option<&str>) -> Result<Self, Problem> {
        let query = Query::read(raw_query, &["max", "invisible", "filter", "sql"])?;
        let bounds = (1, UNACKNOWLEDGED_MAX);
        Ok(Self {
            max: within("max", query.number("max")?, UNACKNOWLEDGED, bounds)?,
            invisible: invisible(query.span("invisible")?)?,
            filter: filter(&query)?.unwrap_or_default(),
        })
    }
}

impl Check {
    /// Reads the request: the body, or the query if there is no body.
    ///
    /// # Errors
    /// When it is malformed or exceeds a limit.
    pub fn read(raw_query: Option<&str>, body: &[u8]) -> Result<Self, Problem> {
        let query = Query::read(raw_query, &["max", "wait"])?;
        let document: CheckDocument = match document(body, !query.is_empty())? {
            Some(document) => document,
            None => CheckDocument {
                max: query.number("max")?,
                wait: query.span("wait")?,
            },
        };
        Ok(Self {
            max: within("max", document.max, MESSAGES, (1, MESSAGES_MAX))?,
            wait: wait(document.wait)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull() -> Pull {
        Pull {
            max: 10,
            wait: Duration::ZERO,
            invisible: INVISIBLE,
            filter: Filter::All,
            attempt_id: None,
            is_single: false,
        }
    }

    #[test]
    fn pulls_are_read_from_the_body_or_the_query() {
        assert_eq!(Pull::read(None, b""), Ok(pull()));
        assert_eq!(Pull::read(None, b" {} "), Ok(pull()));
        let all = Pull {
            max: 32,
            wait: Duration::from_secs(20),
            invisible: Duration::from_secs(10),
            filter: Filter::Tags("a||b".to_owned()),
            attempt_id: Some("1".to_owned()),
            is_single: false,
        };
        let body = br#"{"max":32,"wait":"20s","invisible":"10s","filter":"a||b","attemptId":"1"}"#;
        assert_eq!(Pull::read(None, body), Ok(all.clone()));
        let query = "max=32&wait=20s&invisible=10s&filter=a%7C%7Cb&attemptId=1";
        assert_eq!(Pull::read(Some(query), b""), Ok(all));
        let single = Pull {
            max: 1,
            is_single: true,
            ..pull()
        };
        assert_eq!(Pull::read(Some("single"), b""), Ok(single));
        let sql = Pull {
            filter: Filter::Sql("a > 1".to_owned()),
            ..pull()
        };
        assert_eq!(
            Pull::read(None, br#"{"filter":{"sql":"a > 1"}}"#),
            Ok(sql.clone())
        );
        assert_eq!(Pull::read(Some("sql=a+>+1"), b""), Ok(sql));
    }

    #[test]
    fn wrong_pulls_are_refused() {
        for (query, body) in [
            ("", r#"{"max":0}"#),
            ("", r#"{"max":33}"#),
            ("", r#"{"max":-1}"#),
            ("", r#"{"wait":"31s"}"#),
            ("", r#"{"wait":"20"}"#),
            ("", r#"{"invisible":"9s"}"#),
            ("", r#"{"invisible":"13h"}"#),
            ("", r#"{"filter":1}"#),
            ("", r#"{"filter":["a"]}"#),
            ("", r#"{"filter":{"sql":"a","tags":"b"}}"#),
            ("", r#"{"attemptId":""}"#),
            ("", r#"{"attemptId":"a b"}"#),
            ("", r#"{"single":true}"#),
            ("", "[]"),
            ("", "x"),
            ("single=1", ""),
            ("single&max=2", ""),
            ("max=2", "{}"),
            ("filter=a&sql=b", ""),
            ("tag=a", ""),
        ] {
            let read = Pull::read(Some(query), body.as_bytes());
            assert_eq!(read.unwrap_err().word.status(), 400, "{query} {body}");
        }
        // The flag alone stands beside a body.
        assert!(Pull::read(Some("single"), br#"{"wait":"1s"}"#).is_ok());
    }

    #[test]
    fn streams_and_checks_are_limited() {
        let events = Events::read(Some("max=5&invisible=30s&filter=a")).unwrap();
        assert_eq!((events.max, events.invisible.as_secs()), (5, 30));
        assert_eq!(Events::read(None).unwrap().max, UNACKNOWLEDGED);
        for wrong in ["max=0", "max=1001", "wait=1s", "invisible=1s"] {
            assert!(Events::read(Some(wrong)).is_err(), "{wrong}");
        }
        let check = Check {
            max: 5,
            wait: Duration::from_secs(3),
        };
        assert_eq!(
            Check::read(None, br#"{"max":5,"wait":"3s"}"#),
            Ok(check.clone())
        );
        assert_eq!(Check::read(Some("max=5&wait=3s"), b""), Ok(check));
        for (query, body) in [
            ("max=33", ""),
            ("", r#"{"max":0}"#),
            ("max=1", "{}"),
            ("x", ""),
        ] {
            assert!(
                Check::read(Some(query), body.as_bytes()).is_err(),
                "{query} {body}"
            );
        }
    }
}
