//! The sender of a relayed request, and how its request ends.

use remoting_codec::{Opaque, RequestCode, SerializeType, UpstreamView};
use remoting_transport::Frame;
use tokio::time::Instant;

use super::budget::Slot;
use crate::error::UpstreamError;

/// The sender of a relayed request. One that stands before another forwards all outcomes that it does not use up itself, so
/// nothing here has a default.
pub trait RelayTarget {
    /// How the request ended. A [late](Outcome::Late) answer may follow on a failure or on having been given up.
    fn on_outcome(&self, origin: Origin, outcome: Outcome<'_>);
    /// Whether the request does not need its answer any more: the client has left, or must leave and this is a long poll.
    fn gives_up(&self, origin: &Origin) -> bool;
    /// Whether a [late](Outcome::Late) answer is of any use.
    fn wants_late(&self) -> bool;
}

/// How a relayed request ended.
pub enum Outcome<'a> {
    /// The broker answered.
    Answered {
        /// The answer.
        frame: Frame<'a>,
        /// The same.
        view: &'a UpstreamView<'a>,
    },
    /// No answer will be relayed.
    Failed(UpstreamError),
    /// The request [was given up](RelayTarget::gives_up), or is a long poll of a connection that has ended.
    GivenUp,
    /// The broker answered after the request had failed or was given up; only if that [is wanted](RelayTarget::wants_late).
    Late {
        /// The answer.
        frame: Frame<'a>,
        /// The same.
        view: &'a UpstreamView<'a>,
    },
}

/// What must be known of a relayed request to answer it.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The opaque that its sender gave it.
    pub opaque: Opaque,
    /// What it asks for.
    pub code: RequestCode,
    /// How its sender writes headers.
    pub serialize_type: SerializeType,
    /// What whoever relayed it wants back with the answer.
    pub ticket: Ticket,
}

/// What whoever relays a request wants back with its answer.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// When the request was read.
    pub begun: Instant,
    /// The offset that a pull asks for; 0 otherwise.
    pub offset: i64,
    /// What the request is counted as.
    pub tag: u64,
    /// Which of its client's uses it belongs to.
    pub slot: Slot,
    /// Whether it went over the connection for large requests.
    pub is_bulk: bool,
}
