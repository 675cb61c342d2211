//! The sender of a relayed request, and how its request ends.

use remoting_codec::{Opaque, RequestCode, SerializeType, UpstreamView};
use remoting_transport::Frame;
use tokio::time::Instant;

use super::budget::Slot;
use crate::error::UpstreamError;

/// The sender of a relayed request. An implementation that wraps another must forward all outcomes
/// that it does not handle itself, so no method has a default.
pub trait RelayTarget {
    /// Takes the outcome of the request. A [late](Outcome::Late) answer may follow a failure or a
    /// request that was given up.
    fn on_outcome(&self, origin: Origin, outcome: Outcome<'_>);
    /// Whether the request does not need its answer any more: the client has left, or must leave
    /// and this is a long poll.
    fn gives_up(&self, origin: &Origin) -> bool;
    /// Whether [late](Outcome::Late) answers must be passed on.
    fn wants_late(&self) -> bool;
}

/// How a relayed request ended.
pub enum Outcome<'a> {
    /// The broker answered in time.
    Answered {
        /// The answer's frame, valid during the call only.
        frame: Frame<'a>,
        /// The same frame, decoded.
        view: &'a UpstreamView<'a>,
    },
    /// No answer will be relayed.
    Failed(UpstreamError),
    /// The request [was given up](RelayTarget::gives_up), or is a long poll of a connection that
    /// has ended.
    GivenUp,
    /// The broker answered after the request had failed or was given up; only if that [is
    /// wanted](RelayTarget::wants_late).
    Late {
        /// The answer's frame, valid during the call only.
        frame: Frame<'a>,
        /// The same frame, decoded.
        view: &'a UpstreamView<'a>,
    },
}

/// The part of a relayed request that is needed to answer it.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The opaque that its sender gave it.
    pub opaque: Opaque,
    /// The request code, which the answer does not repeat.
    pub code: RequestCode,
    /// The serialization that its sender uses.
    pub serialize_type: SerializeType,
    /// The sender's notes on the request.
    pub ticket: Ticket,
}

/// The notes of a request's sender, returned with the answer.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// When the request was read.
    pub begun: Instant,
    /// The offset that a pull asks for; 0 otherwise.
    pub offset: i64,
    /// The metrics labels of the request, packed by its sender.
    pub tag: u64,
    /// The budget in which it is counted.
    pub slot: Slot,
    /// Whether it was sent over the connection for large requests.
    pub is_bulk: bool,
}
