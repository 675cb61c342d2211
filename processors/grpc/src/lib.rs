//! The gRPC protocol of RocketMQ 5, `apache.rocketmq.v2.MessagingService`.
//!
//! Pure functions, which neither wait nor read a clock:
//!
//! - [`proto`]: the messages.
//! - [`codec`]: their framing within an HTTP/2 body.
//! - [`metadata`]: the headers of a call.
//! - [`check`]: what a call may ask for.
//! - [`convert`]: between the protocol's messages and what brokers take, store and hand out.
//!
//! The server, which stands on them and on the crates `messaging` and `http-server`:
//!
//! - `transport`: the bodies of requests and answers.
//! - `client`: connections, their calls, and clients with a Telemetry stream as brokers see them.
//! - `calls`: the calls, one function each.
//! - `server`: from requests of HTTP/2 to calls.
//!
//! Whatever a client sends is answered by a [`CallError`] or a status of the transport at worst.
//! Everything belongs to one worker and stays on its thread.

mod calls;
pub mod check;
mod client;
pub mod codec;
pub mod convert;
mod error;
pub mod metadata;
pub mod metrics;
pub mod proto;
mod render;
mod rpc;
mod server;
mod transport;

pub use client::{Connection, Present, Server, Settings};
pub use error::CallError;
pub use rpc::Rpc;
pub use server::{answer, is_call, refuse};
