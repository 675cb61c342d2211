//! What clients are told when something is wrong, all in one place.

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
    /// The cluster could not do it.
    #[error(transparent)]
    Cluster(#[from] MessagingError),
    /// An ext field is missing or malformed.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Only brokers may ask this.
    #[error("request code {0} goes from a broker to a client, not the other way")]
    FromBroker(RequestCode),
    /// Longer than a heartbeat may be.
    #[error("heartbeat of more than {0} bytes: limits.heartbeat_bytes allows no more")]
    HeartbeatTooLong(usize),
    /// Nobody knows the group.
    #[error("no consumer of group {0} is known")]
    NoConsumer(String),
    /// The request does not say which broker it is for, and the topic has several.
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
    /// Longer than what is kept of its kind.
    #[error("{0} of more than {1} bytes")]
    TooLong(&'static str, usize),
    /// The client has its share of what may be outstanding at a broker outstanding already.
    #[error(
        "too many requests of this client wait for broker {0}: send the next when one is answered"
    )]
    TooMany(Box<str>),
    /// Nobody serves that code.
    #[error("request code {0} is not served by Remora")]
    Unsupported(RequestCode),
    /// What a broker or client said cannot be read.
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
    /// Whether the broker cannot have received the request, and could not now.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(self, Self::Cluster(error) if error.is_unsent())
    }

    /// The code that makes a client do the right thing. The remark is the error's text.
    ///
    /// A producer tries another broker on 1, 2 and 14, at once. A request that was written to a broker
    /// that then closed, or that did not answer in time, may have been carried out; trying again is
    /// what a client does that is connected directly, too.
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

/// What the cluster's errors are in this protocol.
fn render(kind: ErrorKind) -> ResponseCode {
    match kind {
        ErrorKind::AnswerTooLarge | ErrorKind::Invalid | ErrorKind::NoNameServer => {
            ResponseCode::SYSTEM_ERROR
        }
        ErrorKind::Busy | ErrorKind::Late => ResponseCode::SYSTEM_BUSY,
        ErrorKind::Denied => ResponseCode::NO_PERMISSION,
        ErrorKind::Lost | ErrorKind::Unavailable => ResponseCode::SERVICE_NOT_AVAILABLE,
        ErrorKind::NoSuchTopic => ResponseCode::TOPIC_NOT_EXIST,
        ErrorKind::Refused(code) => code,
        ErrorKind::Throttled => ResponseCode::FLOW_CONTROL,
        ErrorKind::TooLarge => ResponseCode::MESSAGE_ILLEGAL,
    }
}
