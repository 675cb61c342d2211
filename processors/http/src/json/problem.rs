//! Why a request is not done: `application/problem+json` (RFC 9457).

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Declares the words with their statuses, so that the list of them cannot drift apart.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $status:literal $word:literal;)*) => {
        /// A stable word for a kind of problem, by which programs decide what to do.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Word {
            $($(#[$doc])* $name,)*
        }

        impl Word {
            /// All words.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word, `code` of the document.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// The status of an answer with it.
            #[must_use]
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }
        }
    };
}

words! {
    /// A part of the request is malformed or exceeds a limit; `parameter` names it.
    Invalid = 400 "request_invalid";
    /// The body is not of the form that its content type names.
    InvalidBody = 400 "body_invalid";
    /// The handle was not made by this API, or is of another topic or group.
    InvalidHandle = 400 "handle_invalid";
    /// The transaction token, reply token or recall handle was not made by this API.
    InvalidToken = 400 "token_invalid";
    /// The topic, the group, or both do not allow it.
    Forbidden = 403 "forbidden";
    /// There is no such path.
    NoSuchPath = 404 "path_not_found";
    /// There is no such topic.
    NoSuchTopic = 404 "topic_not_found";
    /// There is no such group.
    NoSuchGroup = 404 "group_not_found";
    /// The path does not take this method; `Allow` has those that it takes.
    WrongMethod = 405 "method_not_allowed";
    /// The request did not arrive in time.
    Slow = 408 "request_timeout";
    /// The topic takes messages of another type.
    WrongType = 409 "message_type_conflict";
    /// The transaction has ended before, or was asked about meanwhile.
    TransactionEnded = 409 "transaction_ended";
    /// The delayed message was delivered or recalled before.
    NotRecallable = 409 "not_recallable";
    /// The invisible time is over, or the message is acknowledged: it may be delivered again.
    Expired = 410 "handle_expired";
    /// The client that waited for the reply has left, or its time is over.
    NotAwaited = 410 "reply_not_awaited";
    /// The body is longer than is allowed.
    TooLarge = 413 "message_too_large";
    /// The content type or the content encoding is not one of those that the operation takes.
    WrongMedia = 415 "media_type_unsupported";
    /// The client has too many requests outstanding, or exceeds its quota.
    Busy = 429 "too_many_requests";
    /// The broker limits the flow.
    FlowControl = 429 "flow_control";
    /// An error of Remora itself.
    Internal = 500 "internal_error";
    /// The broker has refused; `remark` has its words.
    Refused = 502 "broker_refused";
    /// The broker's answer is longer than is allowed: ask for less at a time.
    AnswerTooLarge = 502 "answer_too_large";
    /// The connection to the broker ended while the request was outstanding.
    Lost = 502 "broker_lost";
    /// The broker cannot be reached. Nothing was sent.
    Unavailable = 503 "broker_unavailable";
    /// The broker is too busy. Nothing was done.
    BrokerBusy = 503 "broker_busy";
    /// No name server answers.
    NoNameServer = 503 "name_server_unavailable";
    /// The replica shuts down: send the request again, over a new connection.
    Draining = 503 "draining";
    /// The broker has not answered in time.
    Late = 504 "broker_timeout";
    /// No reply has arrived in time.
    NoReply = 504 "reply_timeout";
}

/// The longest text of a client that is repeated in a document, in bytes.
const PARAMETER_MAX: usize = 200;

/// Why a request, or one part of it, is not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The kind.
    pub word: Word,
    /// What is wrong and what to do, for people.
    pub detail: Cow<'static, str>,
    /// The part of the request: `query delay`, `header ce-id`, `path topic`, `tag`.
    pub parameter: Option<String>,
    /// What the broker has written about it.
    pub remark: Option<String>,
    /// After how many seconds the same request may succeed.
    pub retry_after: Option<u32>,
    /// Whether the request may have been done all the same.
    pub is_outcome_unknown: bool,
}

impl Problem {
    /// A problem of that kind, with a sentence for people.
    #[must_use]
    pub fn new(word: Word, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            word,
            detail: detail.into(),
            parameter: None,
            remark: None,
            retry_after: None,
            is_outcome_unknown: false,
        }
    }

    /// A part of the request is wrong.
    #[must_use]
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Word::Invalid, detail)
    }

    /// The same of that part of the request.
    #[must_use]
    pub fn of(self, parameter: &str) -> Self {
        let end = parameter.floor_char_boundary(PARAMETER_MAX);
        let parameter = parameter.get(..end).unwrap_or_default().to_owned();
        Self {
            parameter: Some(parameter),
            ..self
        }
    }

    /// The same with the broker's words.
    #[must_use]
    pub fn with_remark(self, remark: impl Into<String>) -> Self {
        let remark = remark.into();
        Self {
            remark: (!remark.is_empty()).then_some(remark),
            ..self
        }
    }

    /// The same, which may succeed after that many seconds.
    #[must_use]
    pub fn after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// The same of a request that may have been done.
    #[must_use]
    pub fn with_unknown_outcome(self) -> Self {
        Self {
            is_outcome_unknown: true,
            ..self
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", &self.word.status())?;
        map.serialize_entry("code", self.word.text())?;
        map.serialize_entry("detail", &self.detail)?;
        if let Some(parameter) = &self.parameter {
            map.serialize_entry("parameter", parameter)?;
        }
        if let Some(remark) = &self.remark {
            map.serialize_entry("remark", remark)?;
        }
        if let Some(seconds) = self.retry_after {
            map.serialize_entry("retryAfter", &seconds)?;
        }
        if self.is_outcome_unknown {
            map.serialize_entry("outcome", "unknown")?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_stable() {
        let mut words: Vec<_> = Word::ALL.iter().map(|word| word.text()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Word::ALL.len());
        for word in Word::ALL {
            assert!((400..600).contains(&word.status()), "{word:?}");
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(word.text().chars().all(is_plain), "{word:?}");
        }
    }

    #[test]
    fn members_without_a_value_are_left_out() {
        let problem = Problem::new(Word::Late, "the broker has not answered");
        let text = serde_json::to_string(&problem).unwrap();
        let short =
            r#"{"status":504,"code":"broker_timeout","detail":"the broker has not answered"}"#;
        assert_eq!(text, short);
        let all = problem
            .of("tag")
            .with_remark("x\"")
            .after(1)
            .with_unknown_outcome();
        let text = serde_json::to_string(&all).unwrap();
        let rest = r#","parameter":"tag","remark":"x\"","retryAfter":1,"outcome":"unknown"}"#;
        assert!(text.ends_with(rest), "{text}");
        assert_eq!(all.with_remark("").remark, None);
        let long = Problem::invalid("x").of(&"ä".repeat(1_000));
        assert_eq!(long.parameter.map(|text| text.len()), Some(PARAMETER_MAX));
    }
}
