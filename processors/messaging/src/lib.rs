//! What any client can ask of a cluster, whatever protocol it speaks.
//!
//! A protocol's crate reads what its clients send and writes what they get. This crate is what all of them have in common,
//! in two layers:
//!
//! - **Decisions**, which wait for nothing and allocate nothing where the answer is known, so that the fastest path may use
//!   them: whether a request may be made ([`admit`]), which broker it is for ([`Caller::known_broker`], and where a name
//!   server must be asked [`Caller::find_broker`]), which connection a consumer's poll takes
//!   ([`Member::poll_connection`]), whether a message may go to another broker and to which ([`Caller::may_fail_over`],
//!   [`Caller::next_broker`]), and how long a broker may take ([`Policy::time`], [`pull_time`], [`pop_time`]).
//! - **Typed calls**, which ask brokers something in Remora's own name: what a POP has brought is given back
//!   ([`Popping::give_back`]), a client is declared, introduced and withdrawn ([`Member`]). Sending, receiving and
//!   acknowledging come with the first protocol that does not pass on its clients' own frames.
//!
//! What fails is a [`MessagingError`], which each protocol renders in one place.
//!
//! What is held, for which client and until when:
//!
//! | | for | until |
//! |---|---|---|
//! | [`Caller`] | one client | it disconnects |
//! | [`Member`] with its lanes | one client as brokers see it | it disconnects, or [`Member::close`] |
//! | [`Popping`] | one POP | its answer was delivered, given back, or can no longer come |
//! | [`FailOver`] | one message | a broker has taken it, or none is left |
//!
//! Everything belongs to one worker and stays on its thread, except for [`MessagingError`] and [`Policy`]. Nothing here
//! knows a frame of a client or a session, except that a [`Declaration`] holds the frame that registers it at brokers.

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
