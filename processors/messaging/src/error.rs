//! The errors of requests to the cluster, for every protocol to render.

use std::sync::Arc;

use remoting_codec::{DecodeError, ResponseCode};
use route_cache::{NameServerError, RouteError, UpstreamError};
use thiserror::Error;

/// The kind of an error, in the distinctions that clients act on. Each protocol has one function
/// that maps it to its own codes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// The broker's answer is longer than a frame may be. The client must ask for less at a time.
    AnswerTooLarge,
    /// Too many requests wait for the broker, or this client's share is used up. Nothing was sent;
    /// the client must try again later.
    Busy,
    /// The client lacks the permission. Reserved for access control; nothing returns it yet.
    Denied,
    /// What a token or a handle stands for has ended. Nothing is done any more.
    Expired,
    /// The topic or the group excludes the request: by its permission, its brokers or its members.
    /// Nothing was sent; the same request fails again until an operator changes that.
    Forbidden,
    /// A long poll was ended before the broker had messages, because the client must leave.
    GivenUp,
    /// This part of the request is missing, malformed or above its limit. Nothing was sent.
    Illegal(Part),
    /// The request is malformed, or exceeds a limit of its kind.
    Invalid,
    /// The broker has not answered in time. The request may have been executed.
    Late,
    /// No reply has arrived in time. The request was stored, and may have been executed.
    NoReply,
    /// The connection to the broker ended. The request may have been executed.
    Lost,
    /// No name server answers, and no earlier result is cached.
    NoNameServer,
    /// No name server has a route of the topic.
    NoSuchTopic,
    /// The broker has answered with this code. The text is its remark.
    Refused(ResponseCode),
    /// The client exceeds its quota. Reserved for quotas; nothing returns it yet.
    Throttled,
    /// The request is longer than a broker accepts.
    TooLarge,
    /// The broker does not exist, or cannot be reached now. Nothing was sent; another broker may be
    /// tried.
    Unavailable,
}

/// The part of a request because of which it is [illegal](ErrorKind::Illegal).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Part {
    /// The number of messages that are asked for.
    BatchSize,
    /// The body is longer than its limit.
    BodySize,
    /// For how long a transaction is not checked.
    CheckTime,
    /// The time of delivery.
    DeliveryTime,
    /// There is no body.
    EmptyBody,
    /// The filter of messages.
    Filter,
    /// The group of a consumer.
    Group,
    /// For how long a message is invisible.
    InvisibleTime,
    /// A key of the message.
    Key,
    /// The lite topic.
    LiteTopic,
    /// The message group: messages with the same one stay in order.
    MessageGroup,
    /// The message's unique id.
    MessageId,
    /// The message's kind is not that of its topic, or two of its parts exclude each other.
    MessageKind,
    /// The namespace.
    Namespace,
    /// The priority.
    Priority,
    /// The properties are too many or too long together.
    Properties,
    /// The name or the value of a property.
    Property,
    /// The handle of a popped message.
    ReceiptHandle,
    /// The handle of a delayed message.
    RecallHandle,
    /// The token of a request that is replied to.
    ReplyToken,
    /// The tag.
    Tag,
    /// The topic.
    Topic,
    /// The token of a transaction.
    TransactionToken,
}

/// Why a request failed: the kind of the error, and a sentence for people. It can be sent between
/// threads.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{text}")]
pub struct MessagingError {
    kind: ErrorKind,
    text: Arc<str>,
}

impl MessagingError {
    /// An error with a text for people, which says what to do.
    #[must_use]
    pub fn new(kind: ErrorKind, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self { kind, text }
    }

    /// The kind, by which each protocol chooses its code.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence for people.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether a broker has answered that it does not have, or does not give, what was asked for:
    /// the same question would be answered likewise. A broker that is busy says nothing about that.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Refused(
                ResponseCode::REQUEST_CODE_NOT_SUPPORTED
                    | ResponseCode::NO_PERMISSION
                    | ResponseCode::TOPIC_NOT_EXIST
                    | ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST
            )
        )
    }

    /// Whether the broker certainly has not received the request, and cannot be reached now, so
    /// that another broker may get it.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }
}

/// Whether the broker certainly has not received the request, and cannot be reached now.
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
        // A variant that is unknown here is treated as the worst case.
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

/// A frame of a broker cannot be decoded.
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
    fn only_unsent_requests_may_go_to_another_broker() {
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
