//! The errors that clients receive: their response codes and remarks.

use messaging::{ErrorKind, MessagingError};
use remoting_codec::{BodyError, DecodeError, FieldError, RequestCode, ResponseCode};
use route_cache::{NameServerError, RouteError, UpstreamError};
use thiserror::Error;

/// Why a request was not served.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The body cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The cluster could not serve the request.
    #[error(transparent)]
    Cluster(#[from] MessagingError),
    /// An ext field is missing or malformed.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A client sent a request that only brokers send.
    #[error(
        "request code {0} goes from a broker to a client, not the other way: a client may only answer it"
    )]
    FromBroker(RequestCode),
    /// The heartbeat exceeds `limits.heartbeat_bytes`, the number here.
    #[error(
        "heartbeat of more than {0} bytes: subscribe to fewer topics, or raise limits.heartbeat_bytes"
    )]
    HeartbeatTooLong(usize),
    /// No broker knows the group.
    #[error("no consumer of group {0} is known: start one, or check the group's name")]
    NoConsumer(String),
    /// The request does not name its broker, and the topic has several.
    #[error(
        "ext field {field} (the broker's name) is missing, and topic {topic} has several brokers: \
         use a client that sends it (Java from 4.9.5 in the 4.9 line, from 5.1.0), or give each \
         broker a port of its own with broker_listener in Remora's configuration"
    )]
    NoBrokerName {
        /// The field's name on the wire.
        field: &'static str,
        /// The request's topic.
        topic: String,
    },
    /// The body exceeds the limit of its kind, in bytes.
    #[error("{0} of more than {1} bytes: send a shorter one")]
    TooLong(&'static str, usize),
    /// The client's share of the requests that may be outstanding at the broker is used up.
    #[error(
        "too many requests of this client wait for broker {0}: send the next when one is answered"
    )]
    TooMany(Box<str>),
    /// The table has no row for the code, and `admin_relay` is off.
    #[error(
        "request code {0} is not served by Remora: send it to the broker or name server itself, or \
         set admin_relay in Remora's configuration"
    )]
    Unsupported(RequestCode),
    /// A frame of a broker or client cannot be decoded.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
}

impl From<UpstreamError> for ProcessError {
    fn from(error: UpstreamError) -> Self {
        Self::Cluster(error.into())
    }
}

impl From<RouteError> for ProcessError {
    fn from(error: RouteError) -> Self {
        Self::Cluster(error.into())
    }
}

impl From<NameServerError> for ProcessError {
    fn from(error: NameServerError) -> Self {
        Self::Cluster(error.into())
    }
}

impl ProcessError {
    /// Whether the broker certainly has not received the request, and cannot be reached now.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(self, Self::Cluster(error) if error.is_unsent())
    }

    /// The response code that leads the client to the right reaction. The remark is the error's
    /// text.
    ///
    /// A producer immediately tries another broker on codes 1, 2 and 14. A request may have been
    /// executed if it was written to a broker that then closed the connection or did not answer in
    /// time. A client that is connected directly retries in these cases, too.
    #[must_use]
    pub fn response_code(&self) -> ResponseCode {
        match self {
            Self::Body(_)
            | Self::Field(_)
            | Self::HeartbeatTooLong(_)
            | Self::NoConsumer(_)
            | Self::TooLong(..)
            | Self::Unreadable(_) => ResponseCode::SYSTEM_ERROR,
            Self::Cluster(error) => render(error.kind()),
            Self::FromBroker(_) | Self::Unsupported(_) => ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
            Self::TooMany(_) => ResponseCode::SYSTEM_BUSY,
            Self::NoBrokerName { .. } => ResponseCode::VERSION_NOT_SUPPORTED,
        }
    }
}

/// The response code by which clients react best to each kind of error.
fn render(kind: ErrorKind) -> ResponseCode {
    match kind {
        ErrorKind::AnswerTooLarge
        | ErrorKind::Expired
        | ErrorKind::Illegal(_)
        | ErrorKind::Invalid
        | ErrorKind::NoNameServer => ResponseCode::SYSTEM_ERROR,
        ErrorKind::Busy | ErrorKind::GivenUp | ErrorKind::Late | ErrorKind::NoReply => {
            ResponseCode::SYSTEM_BUSY
        }
        ErrorKind::Denied | ErrorKind::Forbidden => ResponseCode::NO_PERMISSION,
        ErrorKind::Lost | ErrorKind::Unavailable => ResponseCode::SERVICE_NOT_AVAILABLE,
        ErrorKind::NoSuchTopic => ResponseCode::TOPIC_NOT_EXIST,
        ErrorKind::Refused(code) => code,
        ErrorKind::Throttled => ResponseCode::FLOW_CONTROL,
        ErrorKind::TooLarge => ResponseCode::MESSAGE_ILLEGAL,
    }
}
