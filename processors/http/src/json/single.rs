//! A message in a raw request: the body as it is, metadata in the query or in headers.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::answer::QueueOf;
use super::cloud_event;
use super::draft::{self, Draft, Transaction};
use super::headers;
use super::media::{self, MediaType};
use super::problem::Problem;
use super::query::Query;
use super::read::shown;
use super::time::{Span, Stamp};

/// Parameters of a send that headers carry as well, with `x-mq-` before the name in lower case and
/// with dashes.
const BOTH: &[(&str, &str)] = &[
    ("tag", "tag"),
    ("key", "key"),
    ("group", "group"),
    ("delay", "delay"),
    ("at", "at"),
    ("priority", "priority"),
    ("lite", "lite"),
    ("transaction", "transaction"),
    ("checkAfter", "check-after"),
];

/// Parameters of a request, and of a reply, that headers carry as well.
const OF_REQUEST: &[(&str, &str)] = &[
    ("tag", "tag"),
    ("key", "key"),
    ("timeout", "timeout"),
    ("selector", "selector"),
    ("broker", "broker"),
    ("queue", "queue"),
];

/// The shortest time in which a broker does not ask about a transaction. If it were shorter than
/// the broker's `transactionTimeOut`, 6 s by default, the broker would take a commit after it has
/// asked, ask again, and store the message once more with the answer.
const CHECK_AFTER_MIN: Duration = Duration::from_secs(6);

/// A property in the query: `property=name=value`.
const PROPERTY: &str = "property";

/// The header with the id of the message.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How a request waits for its reply.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestOptions {
    /// How long the reply is waited for; `None` for the default.
    pub timeout: Option<Span>,
    /// Requests with the same text go to the same queue.
    pub selector: Option<String>,
    /// The queue that the request goes to.
    pub queue: Option<QueueOf>,
}

/// The metadata of a message: each value once, from the query or from a header.
struct Metadata<'a> {
    query: Query<'a>,
    headers: &'a HeaderMap,
    known: &'static [(&'static str, &'static str)],
}

impl<'a> Metadata<'a> {
    fn read(
        raw: Option<&'a str>,
        headers: &'a HeaderMap,
        known: &'static [(&'static str, &'static str)],
    ) -> Result<Self, Problem> {
        let mut in_query: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        in_query.push(PROPERTY);
        let in_headers: Vec<_> = known.iter().map(|(_, header)| *header).collect();
        headers::only(headers, &in_headers)?;
        Ok(Self {
            query: Query::read(raw, &in_query)?,
            headers,
            known,
        })
    }

    /// The name of a parameter's header.
    fn header(&self, name: &str) -> String {
        let mut known = self.known.iter();
        let found = known.find(|(given, _)| *given == name);
        let header = found.map_or(name, |(_, header)| header);
        format!("{}{header}", headers::PREFIX)
    }

    fn one(&self, name: &str) -> Result<Option<Cow<'_, str>>, Problem> {
        let header = self.header(name);
        let (of_query, of_header) = (self.query.one(name)?, headers::one(self.headers, &header)?);
        match (of_query, of_header) {
            (Some(_), Some(_)) => {
                let detail = format!("{name} stands in the query and in a header: send it once");
                Err(Problem::invalid(detail).of(&format!("header {header}")))
            }
            (of_query, of_header) => Ok(of_query.map(Cow::Borrowed).or(of_header)),
        }
    }

    fn owned(&self, name: &str) -> Result<Option<String>, Problem> {
        Ok(self.one(name)?.map(Cow::into_owned))
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
        let wrong = || {
            let text = shown(&text);
            let detail = format!("{name} must be {expected}; it is {text:?}");
            Problem::invalid(detail).of(name)
        };
        parse(&text).map(Some).ok_or_else(wrong)
    }

    fn span(&self, name: &str) -> Result<Option<Span>, Problem> {
        self.parsed(name, Span::parse, "a duration such as 30s (ms, s, m, h, d)")
    }

    fn number(&self, name: &str) -> Result<Option<i32>, Problem> {
        self.parsed(name, number, "a whole number from 0 on")
    }

    fn keys(&self, draft: &mut Draft) -> Result<(), Problem> {
        for key in self.query.all("key") {
            draft.push_key(key)?;
        }
        let header = self.header("key");
        for value in self.headers.get_all(&header) {
            draft.push_key(&headers::text(&header, value)?)?;
        }
        Ok(())
    }

    fn properties(&self, draft: &mut Draft) -> Result<(), Problem> {
        for property in self.query.all(PROPERTY) {
            let Some((name, value)) = property.split_once('=') else {
                let detail = "a property is property=name=value, with each = and & in them escaped";
                return Err(Problem::invalid(detail).of("query property"));
            };
            draft.push(name.to_owned(), value.to_owned())?;
        }
        for property in headers::properties(self.headers) {
            let (name, value) = property?;
            draft.push(name, value)?;
        }
        Ok(())
    }

    fn message_id(&self, draft: &mut Draft) -> Result<(), Problem> {
        if let Some(key) = headers::plain(self.headers, IDEMPOTENCY_KEY)? {
            draft.message_id = Some(draft::message_id(key)?);
        }
        Ok(())
    }
}

fn number(text: &str) -> Option<i32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// Reads the message of a raw request, or the CloudEvent in it.
///
/// # Errors
/// The first part that is wrong.
pub fn read_single(
    raw_query: Option<&str>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Draft, Problem> {
    let metadata = Metadata::read(raw_query, headers, BOTH)?;
    let delay = metadata.span("delay")?.map(|span| span.0);
    let expected = "a time such as 2026-11-21T09:36:16Z (RFC 3339; write + as %2B)";
    let at = metadata.parsed("at", Stamp::parse, expected)?;
    let mut draft = Draft {
        tag: metadata.owned("tag")?,
        group: metadata.owned("group")?,
        delivery: draft::delivery(delay, at.map(|at| at.0))?,
        priority: metadata.number("priority")?,
        lite: metadata.owned("lite")?,
        transaction: transaction(&metadata)?,
        ..Draft::default()
    };
    metadata.message_id(&mut draft)?;
    metadata.keys(&mut draft)?;
    metadata.properties(&mut draft)?;
    let content_type = headers::content_type(headers)?;
    match MediaType::of(content_type)? {
        MediaType::Events => {
            let detail = "several events are sent to messages:batch";
            return Err(media::unsupported(detail));
        }
        MediaType::Event => {
            cloud_event::ensure_one_mode(headers)?;
            cloud_event::read_structured(&body, &body, &mut draft)?;
        }
        _ => read_body(headers, content_type, body, &mut draft)?,
    }
    Ok(draft)
}

/// The body as it is, with its content type; an event's data if headers have its attributes.
fn read_body(
    headers: &HeaderMap,
    content_type: Option<&str>,
    body: Bytes,
    draft: &mut Draft,
) -> Result<(), Problem> {
    draft.body = body;
    let is_given = !matches!(MediaType::of(content_type), Ok(MediaType::Absent));
    let content_type = content_type.filter(|_| is_given);
    if cloud_event::is_binary(headers) {
        return cloud_event::read_binary(headers, content_type, draft);
    }
    draft.set_content_type(draft::CONTENT_TYPE, content_type.unwrap_or_default());
    Ok(())
}

fn transaction(metadata: &Metadata<'_>) -> Result<Option<Transaction>, Problem> {
    let read = |text: &str| match text {
        "" | "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    let is_half = metadata.parsed("transaction", read, "true or false")? == Some(true);
    let check_after = metadata.span("checkAfter")?.map(|span| span.0);
    match (is_half, check_after) {
        (true, Some(time)) if time < CHECK_AFTER_MIN => {
            let detail = format!("checkAfter must be {} or more", Span(CHECK_AFTER_MIN));
            Err(Problem::invalid(detail).of("checkAfter"))
        }
        (true, check_after) => Ok(Some(Transaction { check_after })),
        (false, None) => Ok(None),
        (false, Some(_)) => {
            let detail = "checkAfter is for messages of a transaction: set transaction=true";
            Err(Problem::invalid(detail).of("checkAfter"))
        }
    }
}

/// Reads the message of a request that waits for a reply.
///
/// # Errors
/// The first part that is wrong.
pub fn read_request(
    raw_query: Option<&str>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<(Draft, RequestOptions), Problem> {
    let metadata = Metadata::read(raw_query, headers, OF_REQUEST)?;
    let (broker, id) = (metadata.owned("broker")?, metadata.number("queue")?);
    let queue = match (broker, id) {
        (None, None) => None,
        (Some(broker), Some(id)) => Some(QueueOf { broker, id }),
        _ => {
            let detail = "a queue is a broker and a number: send both, broker and queue";
            return Err(Problem::invalid(detail).of("queue"));
        }
    };
    let selector = metadata.owned("selector")?;
    if queue.is_some() && selector.is_some() {
        let detail = "selector and queue exclude each other: send one of them";
        return Err(Problem::invalid(detail).of("selector"));
    }
    let options = RequestOptions {
        timeout: metadata.span("timeout")?,
        selector,
        queue,
    };
    let mut draft = Draft {
        tag: metadata.owned("tag")?,
        ..Draft::default()
    };
    metadata.message_id(&mut draft)?;
    metadata.keys(&mut draft)?;
    metadata.properties(&mut draft)?;
    let content_type = headers::content_type(headers)?;
    read_body(headers, content_type, body, &mut draft)?;
    Ok((draft, options))
}

/// Reads the message of a reply.
///
/// # Errors
/// The first part that is wrong.
pub fn read_reply(
    raw_query: Option<&str>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Draft, Problem> {
    let metadata = Metadata::read(raw_query, headers, &[])?;
    let mut draft = Draft::default();
    metadata.properties(&mut draft)?;
    let content_type = headers::content_type(headers)?;
    read_body(headers, content_type, body, &mut draft)?;
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::super::draft::Delivery;
    use super::super::problem::Word;
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn read(query: &str, pairs: &[(&'static str, &str)]) -> Result<Draft, Problem> {
        read_single(Some(query), &headers(pairs), Bytes::from_static(b"body"))
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn metadata_stand_in_the_query_or_in_headers() {
        let expected = Draft {
            body: Bytes::from_static(b"body"),
            tag: Some("a b".to_owned()),
            keys: vec!["1".to_owned(), "2".to_owned()],
            group: Some("g".to_owned()),
            delivery: Some(Delivery::After(Duration::from_secs(30))),
            priority: Some(3),
            lite: Some("l".to_owned()),
            properties: vec![pair("color", "re=d"), pair("content-type", "text/plain")],
            message_id: Some("id-1".to_owned()),
            transaction: Some(Transaction {
                check_after: Some(Duration::from_mins(1)),
            }),
        };
        let query = "tag=a+b&key=1&key=2&group=g&delay=30s&priority=3&lite=l&property=color=re%3Dd\
                     &transaction&checkAfter=1m";
        let common = [
            ("content-type", "text/plain"),
            ("idempotency-key", "\"id-1\""),
        ];
        assert_eq!(read(query, &common), Ok(expected.clone()));
        let of_headers = [
            ("x-mq-tag", "a b"),
            ("x-mq-key", "1"),
            ("x-mq-key", "2"),
            ("x-mq-group", "g"),
            ("x-mq-delay", "30s"),
            ("x-mq-priority", "3"),
            ("x-mq-lite", "l"),
            ("x-mq-property-color", "re=d"),
            ("x-mq-transaction", "true"),
            ("x-mq-check-after", "1m"),
        ];
        assert_eq!(read("", &[&common[..], &of_headers].concat()), Ok(expected));
        let plain = read("", &[("content-type", "application/x-www-form-urlencoded")]).unwrap();
        assert_eq!(plain.properties, []);
        let at = read("at=1970-01-01T00:00:01Z", &[]).unwrap();
        assert_eq!(at.delivery, Some(Delivery::At(1_000)));
    }

    #[test]
    fn wrong_metadata_is_refused() {
        for (query, pairs, parameter) in [
            ("tags=a", &[][..], "query tags"),
            ("tag=a&tag=b", &[], "query tag"),
            ("tag=a", &[("x-mq-tag", "a")], "header x-mq-tag"),
            ("", &[("x-mq-tags", "a")], "header x-mq-tags"),
            (
                "",
                &[("x-mq-tag", "a"), ("x-mq-tag", "b")],
                "header x-mq-tag",
            ),
            ("key=a+b", &[], "key"),
            ("key=", &[], "key"),
            ("delay=30", &[], "delay"),
            ("delay=1s&at=1970-01-01T00:00:01Z", &[], "at"),
            ("priority=-1", &[], "priority"),
            ("priority=3000000000", &[], "priority"),
            ("property=a", &[], "query property"),
            ("property=a=1", &[("x-mq-property-a", "1")], "property a"),
            ("property=content-type=x", &[], "property content-type"),
            ("checkAfter=1m", &[], "checkAfter"),
            ("transaction&checkAfter=5s", &[], "checkAfter"),
            ("transaction=yes", &[], "transaction"),
            ("", &[("idempotency-key", "")], "idempotency-key"),
            (
                "",
                &[("content-type", "a"), ("content-type", "b")],
                "header content-type",
            ),
        ] {
            let problem = read(query, pairs).unwrap_err();
            assert_eq!(
                problem.parameter.as_deref(),
                Some(parameter),
                "{query} {pairs:?}"
            );
            assert_eq!(problem.word, Word::Invalid, "{query} {pairs:?}");
        }
        let several = [("content-type", "application/cloudevents-batch+json")];
        assert_eq!(read("", &several).unwrap_err().word, Word::WrongMedia);
    }

    #[test]
    fn events_are_read_in_both_modes() {
        let event = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","data":"x"}"#;
        let structured = headers(&[("content-type", "application/cloudevents+json")]);
        let draft = read_single(Some("tag=a"), &structured, event.into()).unwrap();
        assert_eq!(
            (draft.tag.as_deref(), &draft.body[..]),
            (Some("a"), &b"\"x\""[..])
        );
        assert!(draft.properties.contains(&pair("CE_id", "7")));
        let of_event = [
            ("ce-specversion", "1.0"),
            ("ce-id", "7"),
            ("ce-source", "/s"),
            ("ce-type", "t"),
            ("content-type", "text/plain"),
        ];
        let draft = read("", &of_event).unwrap();
        assert_eq!(&draft.body[..], b"body");
        assert!(
            draft
                .properties
                .contains(&pair("CE_contenttype", "text/plain"))
        );
        let mut both = structured;
        both.insert("ce-id", "7".parse().unwrap());
        assert!(read_single(None, &both, event.into()).is_err());
    }

    #[test]
    fn requests_and_replies_have_less() {
        let body = || Bytes::from_static(b"body");
        let read = |query| read_request(Some(query), &headers(&[("x-mq-key", "k")]), body());
        let (draft, options) = read("timeout=5s&tag=a&selector=s").unwrap();
        assert_eq!(
            (draft.keys, draft.tag.as_deref()),
            (vec!["k".to_owned()], Some("a"))
        );
        assert_eq!(options.timeout, Some(Span(Duration::from_secs(5))));
        assert_eq!(options.selector.as_deref(), Some("s"));
        let (_, options) = read("broker=broker-a&queue=3").unwrap();
        let queue = options.queue.unwrap();
        assert_eq!((&*queue.broker, queue.id), ("broker-a", 3));
        for wrong in [
            "broker=a",
            "queue=1",
            "broker=a&queue=1&selector=s",
            "group=g",
            "timeout=5",
            "delay=1s",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let pairs = [("x-mq-property-a", "1"), ("content-type", "text/plain")];
        let draft = read_reply(None, &headers(&pairs), body()).unwrap();
        let expected = [pair("a", "1"), pair("content-type", "text/plain")];
        assert_eq!(draft.properties, expected);
        assert!(read_reply(Some("tag=a"), &HeaderMap::new(), body()).is_err());
        assert!(read_reply(None, &headers(&[("x-mq-tag", "a")]), body()).is_err());
    }
}
