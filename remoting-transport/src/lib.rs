//! Connections that carry frames, used towards clients and towards brokers.
//!
//! A connection is one task and one [`Outbox`]. The task runs [`pump`]: it writes the contents of
//! the outbox, and passes each frame that arrives to a [`FrameHandler`], in place in the worker's
//! read buffer. Other tasks send by putting frames into the outbox, which wakes the connection's
//! task. All tasks that one poll of the sockets made runnable run before it, so the requests of
//! many clients to one broker leave in one write, without a delay to collect them.
//!
//! An idle connection owns no buffer: reading borrows the worker's, writing takes one from the
//! worker's [`Buffers`] and returns it when it is empty.

mod account;
mod buffers;
mod frame;
mod handler;
mod ledger;
pub mod metrics;
mod outbox;
mod prefixed;
mod pump;
mod turns;

pub use account::{Account, CONNECTION, Group, Held};
pub use buffers::Buffers;
pub use frame::Frame;
pub use handler::FrameHandler;
pub use ledger::{Ledger, Pool};
pub use outbox::Outbox;
pub use prefixed::Prefixed;
pub use pump::{PumpError, announce_end, pump};
pub use turns::{Turn, Turns};
