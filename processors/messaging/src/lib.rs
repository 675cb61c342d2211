//! Requests that clients make to a cluster, independent of their protocol.
//!
//! A protocol's crate reads its clients' requests and writes their answers. This crate has what all
//! protocols share, in two layers:
//!
//! - **Decisions**: whether a request is admitted ([`admit`]), which broker it is for
//!   ([`Caller::known_broker`]), which connection a consumer's poll uses
//!   ([`Member::poll_connection`]), whether a message may fail over
//!   ([`Caller::may_fail_over`]), and the timeout of a broker's answer ([`Policy::time`],
//!   [`pull_time`], [`pop_time`]). These neither wait nor allocate, so that the fast path may use
//!   them. Two decisions need a look-up: [`Caller::find_broker`] and [`Caller::next_broker`].
//! - **Typed calls**, which send requests of Remora's own to brokers: popped messages are given
//!   back ([`Popping::give_back`]), a client is declared, introduced and withdrawn ([`Member`]).
//!   [`Requests`] has those for protocols whose clients' frames cannot be relayed: sending,
//!   receiving, acknowledging, offsets, transactions, lite topics.
//!
//! Errors are [`MessagingError`]s, which each protocol renders in one place.
//!
//! The state that is kept, its owner and its lifetime:
//!
//! | | for | until |
//! |---|---|---|
//! | [`Caller`] | one client | it disconnects |
//! | [`Requests`] | one client's connection | it disconnects |
//! | [`ConfigCache`], [`Clocks`] | all clients of a worker | the worker ends; bounded |
//! | [`Pollers`] | all clients of a worker | a minute after the last poll, or less; bounded |
//! | [`Requester`] | all clients of a worker | no request was made for a minute; bounded |
//! | [`Member`], its lanes | one client as brokers see it | it disconnects, or [`Member::close`] |
//! | [`Popping`] | one POP | its answer was delivered, given back, or can no longer come |
//! | [`Batch`] | popped messages in an answer's bytes | these were written, or never will be |
//! | [`FailOver`] | one message | a broker has taken it, or none is left |
//!
//! Everything belongs to one worker and stays on its thread, except for [`MessagingError`] and
//! [`Policy`]. Nothing here depends on a client's frames or on a session, except that a
//! [`Declaration`] holds the frame that registers the client at brokers, and
//! [`Member::unregister`] the one that unregisters it.

mod admission;
mod asker;
mod caller;
mod calls;
pub mod check;
mod clocks;
mod delivery;
pub mod digest;
mod draft;
mod elsewhere;
mod error;
mod fail_over;
mod give_back;
mod ids;
mod kind;
mod member;
mod message;
pub mod metrics;
mod own;
mod policy;
mod pollers;
pub mod queues;
mod request;
pub mod stored;
pub mod token;

pub use admission::{Ask, admit};
pub use asker::{Asker, PROTOCOL_PROPERTY, running_info};
pub use caller::{Caller, Target};
pub use calls::{
    BULK_MIN, Boundary, ConfigCache, Consumer, Crashed, Members, Pop, PopAnswer, PopLite, Popped,
    PoppedMessage, Popper, Pull, Pulled, Queue, Receive, Released, Requests, Rounds, Send,
    SendReceipt, Unwanted, receipt_of, release,
};
pub use clocks::{Clocks, now_millis};
pub use delivery::{Batch, Placed, Written};
pub use draft::{Draft, Outgoing, RECOVERY, Sender};
pub use elsewhere::{Elsewhere, LONG};
pub use error::{ErrorKind, MessagingError, Part, is_unsent};
pub use fail_over::FailOver;
pub use give_back::Popping;
pub use ids::{random, unique_id};
pub use kind::MessageKind;
pub use member::{Declaration, Declared, Groups, Member};
pub use message::{Expected, Message};
pub use policy::{Patience, Policy, at_most, pop_time, pull_time};
pub use pollers::{Poll, Pollers, TransactionCheck};
pub use request::{Place, Reply, Requester};
