//! What a request asks for: its method and its target.

use std::borrow::Cow;
use std::time::Duration;

use super::error::{Code, SdkError, shown};
use crate::percent;

/// Most messages of one consumption.
pub const MOST_MESSAGES: u32 = 16;
/// The longest that a consumption may wait for messages. SDKs wait a few seconds longer for the
/// answer.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The methods of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// POST: publish.
    Publish,
    /// GET: consume.
    Consume,
    /// DELETE: acknowledge, commit, roll back.
    Acknowledge,
}

impl Method {
    /// Of HTTP's method; `None` if the protocol does not have it.
    #[must_use]
    pub fn of(method: &str) -> Option<Self> {
        match method {
            "POST" => Some(Self::Publish),
            "GET" => Some(Self::Consume),
            "DELETE" => Some(Self::Acknowledge),
            _ => None,
        }
    }
}

/// A request without its body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target<'a> {
    /// The topic, as it is named within the namespace. Not yet checked.
    pub topic: Cow<'a, str>,
    /// The namespace, for the protocol the id of an instance. Empty if there is none. Not yet
    /// checked.
    pub namespace: Cow<'a, str>,
    /// What to do.
    pub operation: Operation<'a>,
}

/// What to do. Groups are not yet checked, except that they are not empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation<'a> {
    /// Store the message of the body.
    Publish,
    /// Hand out messages.
    Consume(Consume<'a>),
    /// Acknowledge the messages of the body's receipt handles.
    Acknowledge {
        /// The consumer group.
        group: Cow<'a, str>,
    },
    /// Commit or roll back the half message of the body's receipt handle. There is no group: the
    /// SDK for Go sends an empty one, and the handle has all that is needed.
    End(Outcome),
}

/// What a consumption asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consume<'a> {
    /// The consumer group; for half messages that of the producers.
    pub group: Cow<'a, str>,
    /// Which messages.
    pub kind: Kind,
    /// How many at most, 1 to [`MOST_MESSAGES`].
    pub most: u32,
    /// How long to wait for the first, at most [`LONGEST_WAIT`].
    pub wait: Duration,
    /// Tags, separated by `||`; `None` for all. Not yet checked.
    pub tag: Option<Cow<'a, str>>,
}

/// Which messages are consumed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Those of any queue, in any order.
    Unordered,
    /// Those of a queue in their order: no further ones before all are acknowledged.
    Orderly,
    /// Half messages whose outcome a broker asks for.
    Half,
}

/// What becomes of a half message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Consumers get it.
    Commit,
    /// It is dropped.
    Rollback,
}

/// The parameters of a query, each at most once.
#[derive(Default)]
struct Parameters<'a> {
    consumer: Option<Cow<'a, str>>,
    ns: Option<Cow<'a, str>>,
    num_of_messages: Option<Cow<'a, str>>,
    wait_seconds: Option<Cow<'a, str>>,
    tag: Option<Cow<'a, str>>,
    trans: Option<Cow<'a, str>>,
}

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Self, SdkError> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "consumer" => &mut parameters.consumer,
                "ns" => &mut parameters.ns,
                "numOfMessages" => &mut parameters.num_of_messages,
                "waitseconds" => &mut parameters.wait_seconds,
                "tag" => &mut parameters.tag,
                "trans" => &mut parameters.trans,
                _ => return Err(query_error(name, "is not one of the protocol")),
            };
            let value = percent::decode(value, true)
                .ok_or_else(|| query_error(name, "is not percent-encoded UTF-8"))?;
            if place.replace(value).is_some() {
                return Err(query_error(name, "is given twice"));
            }
        }
        Ok(parameters)
    }

    /// Refuses parameters that the operation does not have.
    fn without(&self, parameters: &[(&str, &Option<Cow<'_, str>>)]) -> Result<(), SdkError> {
        let given = parameters.iter().find(|(_, value)| value.is_some());
        given.map_or(Ok(()), |(name, _)| {
            Err(query_error(name, "is not for this operation"))
        })
    }

    fn group(consumer: Option<Cow<'a, str>>) -> Result<Cow<'a, str>, SdkError> {
        let given = consumer.filter(|group| !group.is_empty());
        given.ok_or_else(|| argument("the parameter consumer is missing: name the group"))
    }
}

fn query_error(name: &str, what: &str) -> SdkError {
    let message = format!("the parameter {} {what}", shown(name));
    SdkError::new(Code::InvalidQueryString, message)
}

fn argument(message: impl Into<Cow<'static, str>>) -> SdkError {
    SdkError::new(Code::InvalidArgument, message)
}

/// A number that is nothing but digits, if it is in this range.
fn number(name: &str, text: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, SdkError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (first, last) = (range.start(), range.end());
            argument(format!(
                "the parameter {name} is no number from {first} to {last}: {}",
                shown(text)
            ))
        })
}

impl<'a> Target<'a> {
    /// Reads path and query, as they were received.
    ///
    /// # Errors
    /// `InvalidRequestURL` when the path is not `/topics/{topic}/messages`; `InvalidQueryString`
    /// when a parameter is given twice, is unknown or is not for the operation; `InvalidArgument`
    /// when its value is not allowed.
    pub fn read(method: Method, path_and_query: &'a str) -> Result<Self, SdkError> {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let topic = path.strip_prefix("/topics/");
        let topic = topic.and_then(|rest| rest.strip_suffix("/messages"));
        let topic = topic.filter(|topic| !topic.is_empty() && !topic.contains('/'));
        let topic = topic.and_then(|topic| percent::decode(topic, false));
        let topic = topic.ok_or_else(|| {
            SdkError::new(
                Code::InvalidRequestUrl,
                "the path must be /topics/{topic}/messages",
            )
        })?;
        let mut parameters = Parameters::read(query)?;
        Ok(Self {
            topic,
            namespace: parameters.ns.take().unwrap_or_default(),
            operation: Operation::read(method, parameters)?,
        })
    }
}

impl<'a> Operation<'a> {
    fn read(method: Method, parameters: Parameters<'a>) -> Result<Self, SdkError> {
        let of_consumption = [
            ("numOfMessages", &parameters.num_of_messages),
            ("waitseconds", &parameters.wait_seconds),
            ("tag", &parameters.tag),
        ];
        match method {
            Method::Publish => {
                parameters.without(&of_consumption)?;
                parameters.without(&[
                    ("consumer", &parameters.consumer),
                    ("trans", &parameters.trans),
                ])?;
                Ok(Self::Publish)
            }
            Method::Consume => Ok(Self::Consume(Consume::read(parameters)?)),
            Method::Acknowledge => {
                parameters.without(&of_consumption)?;
                match parameters.trans.as_deref() {
                    None | Some("") => Ok(Self::Acknowledge {
                        group: Parameters::group(parameters.consumer)?,
                    }),
                    Some("commit") => Ok(Self::End(Outcome::Commit)),
                    Some("rollback") => Ok(Self::End(Outcome::Rollback)),
                    Some(other) => Err(argument(format!(
                        "the parameter trans is neither commit nor rollback: {}",
                        shown(other)
                    ))),
                }
            }
        }
    }
}

impl<'a> Consume<'a> {
    fn read(parameters: Parameters<'a>) -> Result<Self, SdkError> {
        let kind = match parameters.trans.as_deref() {
            None | Some("") => Kind::Unordered,
            Some("order") => Kind::Orderly,
            Some("pop") => Kind::Half,
            Some(other) => {
                return Err(argument(format!(
                    "the parameter trans is neither order nor pop: {}",
                    shown(other)
                )));
            }
        };
        if kind == Kind::Half {
            parameters.without(&[("tag", &parameters.tag)])?;
        }
        let most = parameters.num_of_messages.as_deref().unwrap_or_default();
        let wait = parameters.wait_seconds.as_deref().unwrap_or("0");
        let longest = LONGEST_WAIT.as_secs() as u32;
        Ok(Self {
            most: number("numOfMessages", most, 1..=MOST_MESSAGES)?,
            wait: Duration::from_secs(number("waitseconds", wait, 0..=longest)?.into()),
            group: Parameters::group(parameters.consumer)?,
            kind,
            tag: parameters.tag.filter(|tag| !tag.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consume(query: &str) -> Result<Operation<'_>, Code> {
        let parameters = Parameters::read(query).map_err(|error| error.code)?;
        Operation::read(Method::Consume, parameters).map_err(|error| error.code)
    }

    fn of(kind: Kind, wait: u64, tag: Option<&str>) -> Operation<'_> {
        Operation::Consume(Consume {
            group: "G".into(),
            kind,
            most: 16,
            wait: Duration::from_secs(wait),
            tag: tag.map(Cow::Borrowed),
        })
    }

    fn code(method: &str, target: &str) -> Option<Code> {
        let method = Method::of(method).unwrap();
        Target::read(method, target).err().map(|error| error.code)
    }

    #[test]
    fn what_each_sdk_sends_is_read() {
        let tags = Some("TagA||TagB");
        for (sdk, query, expected) in [
            (
                "Java",
                "numOfMessages=16&consumer=G&ns=I&tag=TagA%7C%7CTagB&waitseconds=30",
                of(Kind::Unordered, 30, tags),
            ),
            (
                "Java, orderly",
                "numOfMessages=16&consumer=G&waitseconds=3&trans=order",
                of(Kind::Orderly, 3, None),
            ),
            (
                "Python",
                "consumer=G&numOfMessages=16&ns=I&waitseconds=3&tag=TagA%7C%7CTagB",
                of(Kind::Unordered, 3, tags),
            ),
            (
                "Node",
                "consumer=G&ns=I&tag=TagA%7C%7CTagB&numOfMessages=16&waitseconds=3&trans=order",
                of(Kind::Orderly, 3, tags),
            ),
            (
                "Node, half",
                "consumer=G&ns=I&trans=pop&numOfMessages=16&waitseconds=3",
                of(Kind::Half, 3, None),
            ),
            (
                "Go, orderly",
                "consumer=G&trans=order&ns=I&numOfMessages=16",
                of(Kind::Orderly, 0, None),
            ),
        ] {
            assert_eq!(consume(query), Ok(expected), "{sdk}");
        }
    }

    #[test]
    fn operations_are_told_apart() {
        let read = |method: &str, target: &'static str| {
            Target::read(Method::of(method).unwrap(), target).unwrap()
        };
        let target = read("POST", "/topics/%25RETRY%25G/messages?ns=MQ_INST_1");
        assert_eq!(target.topic, "%RETRY%G");
        assert_eq!(target.namespace, "MQ_INST_1");
        assert_eq!(target.operation, Operation::Publish);
        for (query, expected) in [
            ("consumer=G", Operation::Acknowledge { group: "G".into() }),
            // As the SDK for Go has it.
            ("consumer=&trans=commit", Operation::End(Outcome::Commit)),
            (
                "consumer=G&ns=I&trans=rollback",
                Operation::End(Outcome::Rollback),
            ),
            ("trans=rollback", Operation::End(Outcome::Rollback)),
        ] {
            let target = format!("/topics/T/messages?{query}");
            let read = Target::read(Method::Acknowledge, &target).unwrap();
            assert_eq!(read.operation, expected, "{query}");
        }
        assert_eq!(Method::of("PUT"), None);
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "/",
            "/topics",
            "/topics/T",
            "/topics//messages",
            "/topics/T/messages/",
            "/topics/T/x/messages",
            "/topics/T%/messages",
            "/topics/T%ff/messages",
            "/queues/T/messages",
            "/topics/messages",
            "",
        ] {
            assert_eq!(code("POST", path), Some(Code::InvalidRequestUrl), "{path}");
        }
    }

    #[test]
    fn other_queries_are_refused() {
        let query = Code::InvalidQueryString;
        let value = Code::InvalidArgument;
        for (method, text, expected) in [
            ("GET", "consumer=G&numOfMessages=1&consumer=G", query),
            ("GET", "consumer=G&numOfMessages=1&Tag=x", query),
            ("GET", "consumer=%zz&numOfMessages=1", query),
            ("GET", "consumer=G&numOfMessages=1&trans=pop&tag=x", query),
            ("POST", "consumer=G", query),
            ("POST", "trans=pop", query),
            ("POST", "tag=x", query),
            ("DELETE", "consumer=G&numOfMessages=1", query),
            ("GET", "numOfMessages=1", value),
            ("GET", "consumer=&numOfMessages=1", value),
            ("GET", "consumer=G", value),
            ("GET", "consumer=G&numOfMessages=", value),
            ("GET", "consumer=G&numOfMessages=0", value),
            ("GET", "consumer=G&numOfMessages=17", value),
            ("GET", "consumer=G&numOfMessages=-1", value),
            ("GET", "consumer=G&numOfMessages=%2B1", value),
            ("GET", "consumer=G&numOfMessages=99999999999", value),
            ("GET", "consumer=G&numOfMessages=1&waitseconds=31", value),
            ("GET", "consumer=G&numOfMessages=1&waitseconds=", value),
            ("GET", "consumer=G&numOfMessages=1&trans=commit", value),
            ("DELETE", "", value),
            ("DELETE", "consumer=G&trans=order", value),
        ] {
            let target = format!("/topics/T/messages?{text}");
            assert_eq!(code(method, &target), Some(expected), "{method} {text}");
        }
    }
}
