//! Why something upstream could not be done.

use std::rc::Rc;
use std::sync::Arc;

use remoting_codec::DecodeError;
use thiserror::Error;

use crate::peer::Peer;

/// Why a request got no answer.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The answer is longer than a frame may be, and was passed over.
    #[error(
        "{peer} answered with {length} bytes, more than limits.frame_bytes allows: ask for less at a time"
    )]
    AnswerTooLong {
        /// The peer that answered.
        peer: Peer,
        /// How long it was, in bytes.
        length: u64,
    },
    /// Too much waits for this broker already. The request was not written.
    #[error("{0} does not keep up")]
    Busy(Peer),
    /// The connection ended. The request may have been carried out.
    #[error("{0} closed the connection")]
    Closed(Peer),
    /// No connection came about. The request was not written.
    #[error("{peer} cannot be reached: {reason}")]
    Connect {
        /// The peer that cannot be reached.
        peer: Peer,
        /// What the transport says.
        reason: Rc<str>,
    },
    /// It has left requests unanswered, and is left alone until it answers. The request was not written.
    #[error("{0} has not answered for a while")]
    Failing(Peer),
    /// The broker is about to go and did not carry the request out.
    #[error("{0} is going away")]
    GoingAway(Peer),
    /// Name servers know of no such broker. The request was not written.
    #[error("no name server knows a broker {0}")]
    NoBroker(Rc<str>),
    /// The broker has replicas only, and the request needs a master. It was not written.
    #[error("{0} has no master now")]
    NoMaster(Peer),
    /// The answer did not come in time. The request may have been carried out.
    #[error("{0} did not answer in time")]
    Timeout(Peer),
    /// Another client had asked the same, and has left without the answer that both would have got.
    #[error("the first of the same requests closed the connection")]
    FirstClosed,
    /// With the longer opaque it has upstream, the frame would be over the limit of every broker.
    #[error("the frame is as long as a frame may be")]
    TooLong,
}

/// Why there is no route.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// A name server says that there is no such topic; with its words.
    #[error("{0}")]
    NoSuchTopic(Arc<str>),
    /// No name server has answered, and none ever has for this topic.
    #[error("no route of the topic is known: {0}")]
    Unavailable(#[from] NameServerError),
}

/// Why no name server gave an answer.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum NameServerError {
    /// All were tried.
    #[error("no name server answers ({0})")]
    Unreachable(Arc<str>),
    /// The answer is no answer to what was asked.
    #[error("a name server's answer cannot be used: {0}")]
    Unusable(Arc<str>),
}

impl From<DecodeError> for NameServerError {
    fn from(error: DecodeError) -> Self {
        Self::Unusable(error.to_string().into())
    }
}
