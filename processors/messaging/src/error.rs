//! Why the cluster could not do what a client asked, for every protocol to render.

use std::sync::Arc;

use remoting_codec::{DecodeError, ResponseCode};
use route_cache::{NameServerError, RouteError, UpstreamError};
use thiserror::Error;

/// Why a request failed, as far as clients act on it. Each protocol has one function from this to its own codes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// The broker's answer is longer than a frame may be: ask for less at a time.
    AnswerTooLarge,
    /// Too much waits for the broker, or this client has its share outstanding. Nothing was sent: try again later.
    Busy,
    /// The client may not do that. For access control; nothing is denied yet.
    Denied,
    /// What was sent cannot be understood, or exceeds a bound of its kind.
    Invalid,
    /// The broker has not answered in time. The request may have been carried out.
    Late,
    /// The connection to the broker ended. The request may have been carried out.
    Lost,
    /// No name server answers, and nothing is known from earlier.
    NoNameServer,
    /// There is no such topic.
    NoSuchTopic,
    /// The broker has answered with this code, and the text is its remark.
    Refused(ResponseCode),
    /// The client is above its quota. For quotas; nothing is throttled yet.
    Throttled,
    /// The request is longer than a broker takes.
    TooLarge,
    /// There is no such broker, or it cannot be reached now. Nothing was sent: another broker may be asked.
    Unavailable,
}

/// Why a request failed: what kind of error it is, and one sentence for people. It may cross threads.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{text}")]
pub struct MessagingError {
    kind: ErrorKind,
    text: Arc<str>,
}

impl MessagingError {
    /// An error of that kind.
    #[must_use]
    pub fn new(kind: ErrorKind, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self { kind, text }
    }

    /// Of which kind it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence for people.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether the broker cannot have received the request, and could not now: another may get it.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }
}

/// Whether the broker cannot have received the request, and could not now.
#[must_use]
pub fn is_unsent(error: &UpstreamError) -> bool {
    kind(error) == ErrorKind::Unavailable
}

fn kind(error: &UpstreamError) -> ErrorKind {
    match error {
        UpstreamError::AnswerTooLong { .. } => ErrorKind::AnswerTooLarge,
        UpstreamError::Busy(_) => ErrorKind::Busy,
        UpstreamError::Connect { .. }
        | UpstreamError::Failing(_)
        | UpstreamError::NoBroker(_)
        | UpstreamError::NoMaster(_) => ErrorKind::Unavailable,
        UpstreamError::Timeout(_) => ErrorKind::Late,
        UpstreamError::TooLong => ErrorKind::TooLarge,
        // Of one that is not known here, the worst is assumed.
        _ => ErrorKind::Lost,
    }
}

impl From<UpstreamError> for MessagingError {
    fn from(error: UpstreamError) -> Self {
        Self::new(kind(&error), error.to_string())
    }
}

impl From<RouteError> for MessagingError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::NoSuchTopic(text) => Self::new(ErrorKind::NoSuchTopic, text),
            error => Self::new(ErrorKind::NoNameServer, error.to_string()),
        }
    }
}

impl From<NameServerError> for MessagingError {
    fn from(error: NameServerError) -> Self {
        Self::new(ErrorKind::NoNameServer, error.to_string())
    }
}

/// What a broker sent cannot be read.
impl From<DecodeError> for MessagingError {
    fn from(error: DecodeError) -> Self {
        Self::new(ErrorKind::Invalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use route_cache::Peer;

    use super::*;

    #[test]
    fn only_what_was_not_sent_may_go_to_another_broker() {
        let broker = || Peer::Broker("a".into());
        for (error, is_unsent) in [
            (UpstreamError::Failing(broker()), true),
            (UpstreamError::NoBroker("a".into()), true),
            (UpstreamError::NoMaster(broker()), true),
            (UpstreamError::Busy(broker()), false),
            (UpstreamError::Closed(broker()), false),
            (UpstreamError::GoingAway(broker()), false),
            (UpstreamError::Timeout(broker()), false),
            (UpstreamError::TooLong, false),
        ] {
            let text = error.to_string();
            assert_eq!(super::is_unsent(&error), is_unsent, "{text}");
            let error = MessagingError::from(error);
            assert_eq!(error.is_unsent(), is_unsent, "{text}");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn errors_cross_threads() {
        fn crosses<T: Send + Sync>(_: &T) {}
        let error = MessagingError::from(RouteError::NoSuchTopic("no topic t".into()));
        crosses(&error);
        assert_eq!(error.kind(), ErrorKind::NoSuchTopic);
        assert_eq!(&**error.text(), "no topic t");
    }
}
