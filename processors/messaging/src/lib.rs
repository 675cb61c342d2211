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
//!   Calls for sending, receiving and acknowledging will be added with the first protocol whose
//!   clients' frames cannot be relayed.
//!
//! Errors are [`MessagingError`]s, which each protocol renders in one place.
//!
//! The state that is kept, its owner and its lifetime:
//!
//! | | for | until |
//! |---|---|---|
//! | [`Caller`] | one client | it disconnects |
//! | [`Member`], its lanes | one client as brokers see it | it disconnects, or [`Member::close`] |
//! | [`Popping`] | one POP | its answer was delivered, given back, or can no longer come |
//! | [`FailOver`] | one message | a broker has taken it, or none is left |
//!
//! Everything belongs to one worker and stays on its thread, except for [`MessagingError`] and
//! [`Policy`]. Nothing here depends on a client's frames or on a session, except that a
//! [`Declaration`] holds the frame that registers the client at brokers, and
//! [`Member::unregister`] the one that unregisters it.

mod admission;
mod caller;
mod error;
mod fail_over;
mod give_back;
mod member;
mod message;
mod own;
mod policy;

pub use admission::{Ask, admit};
pub use caller::{Caller, Target};
pub use error::{ErrorKind, MessagingError, is_unsent};
pub use fail_over::FailOver;
pub use give_back::Popping;
pub use member::{Declaration, Declared, Groups, Member};
pub use message::{Expected, Message};
pub use policy::{Patience, Policy, pop_time, pull_time};
