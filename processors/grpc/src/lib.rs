//! The gRPC protocol of RocketMQ 5, `apache.rocketmq.v2.MessagingService`: its messages, and what
//! they mean to a broker. No I/O, no clock and no server; time is passed in.
//!
//! - [`proto`]: the messages.
//! - [`codec`]: their framing within an HTTP/2 body.
//! - [`metadata`]: the headers of a call.
//! - [`check`]: what a call may ask for.
//! - [`convert`]: between the protocol's messages and what brokers take, store and hand out.
//!
//! Whatever a client sends is answered by a [`CallError`] at worst.

pub mod check;
pub mod codec;
pub mod convert;
mod error;
pub mod metadata;
pub mod proto;

pub use error::CallError;
