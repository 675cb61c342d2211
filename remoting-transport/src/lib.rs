//! Frames over a connection, in either direction: clients above use it as brokers below do.
//!
//! A connection is one task and one [`Outbox`]. The task runs [`pump`]: it writes what others have
//! put into the outbox and hands each frame that arrives to a [`FrameHandler`], where it lies, in the
//! worker's read buffer. Whoever has something to send puts it into the outbox, which wakes the
//! task. Since everything that one round of readiness made runnable runs before that task does, what
//! many clients ask of one broker leaves in one write, without anybody waiting for company.
//!
//! A connection at rest owns no buffer: reading borrows the worker's, writing takes one from the
//! worker's [`Buffers`] and gives it back when it is empty.

mod account;
mod buffers;
mod frame;
mod handler;
mod ledger;
pub mod metrics;
mod outbox;
mod pump;
mod turns;

pub use account::{Account, CONNECTION, Group, Held};
pub use buffers::Buffers;
pub use frame::Frame;
pub use handler::FrameHandler;
pub use ledger::{Ledger, Pool};
pub use outbox::Outbox;
pub use pump::{PumpError, pump, say_farewell};
