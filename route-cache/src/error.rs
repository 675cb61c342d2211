//! Errors of everything upstream.

use std::rc::Rc;
use std::sync::Arc;

use remoting_codec::DecodeError;
use thiserror::Error;

use crate::peer::Peer;

/// The reason why a request got no answer.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The answer is over `limits.frame_bytes`, and was skipped.
    #[error(
        "{peer} answered with {length} bytes, more than limits.frame_bytes allows: ask for less at a time"
    )]
    AnswerTooLong {
        /// The broker or name server.
        peer: Peer,
        /// The length of the answer in bytes.
        length: u64,
    },
    /// Too many bytes wait to be written to this broker. The request was not written.
    #[error("{0} does not keep up: try again later")]
    Busy(Peer),
    /// The connection ended. The request may have been carried out.
    #[error("{0} closed the connection: try again if the request may be carried out twice")]
    Closed(Peer),
    /// No connection could be established. The request was not written.
    #[error("{peer} cannot be reached: {reason}")]
    Connect {
        /// The peer that cannot be reached.
        peer: Peer,
        /// The error of the transport, and what to do.
        reason: Rc<str>,
    },
    /// The circuit is open: the broker has left requests unanswered, and gets none until it answers
    /// a probe. The request was not written.
    #[error(
        "{0} does not answer: requests to it fail until it does, so try another broker, or again later"
    )]
    Failing(Peer),
    /// The broker is shutting down and did not carry out the request.
    #[error("{0} is shutting down: try again")]
    GoingAway(Peer),
    /// No such broker is registered at the name servers. The request was not written.
    #[error("no broker {0} is registered at the name servers: check its name, and that it runs")]
    NoBroker(Rc<str>),
    /// The broker has only slaves, and the request needs a master. It was not written.
    #[error("{0} has no master now: try another broker, or again later")]
    NoMaster(Peer),
    /// The answer did not arrive in time. The request may have been carried out.
    #[error("{0} did not answer in time: try again if the request may be carried out twice")]
    Timeout(Peer),
    /// The request waited for the answer to an identical one of the same client, which failed.
    #[error("an identical request that was sent before has failed: try again")]
    FirstFailed,
    /// With a longer opaque, which it needs upstream, the frame would be over every broker's limit.
    #[error("the frame is too long to be relayed: send less at a time")]
    TooLong,
}

impl UpstreamError {
    /// What has happened, without what a client should do: name servers are asked again in any
    /// case.
    pub(crate) fn event(&self) -> String {
        match self {
            Self::Closed(peer) => format!("{peer} closed the connection"),
            Self::Timeout(peer) => format!("{peer} did not answer in time"),
            error => error.to_string(),
        }
    }
}

/// The reason why there is no route.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// A name server answered that there is no such topic; with its remark.
    #[error("{0}")]
    NoSuchTopic(Arc<str>),
    /// No name server has answered, and no route of the topic is cached.
    #[error("no route of the topic is known: {0}")]
    Unavailable(#[from] NameServerError),
}

/// The reason why there is no answer of a name server.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum NameServerError {
    /// None of the name servers answers; all were tried.
    #[error("no name server answers ({0}): try again later")]
    Unreachable(Arc<str>),
    /// The answer does not fit the request.
    #[error("a name server's answer cannot be used: {0}; try again later, or see its log")]
    Unusable(Arc<str>),
}

impl From<DecodeError> for NameServerError {
    fn from(error: DecodeError) -> Self {
        Self::Unusable(error.to_string().into())
    }
}
