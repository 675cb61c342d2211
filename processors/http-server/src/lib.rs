//! Connections of HTTP, for the protocols that stand on it: HTTP/2, and HTTP/1.1 and 1.0.
//!
//! - `connection`: what every connection has, whatever its calls are: the client's requests to
//!   brokers and its account, its traffic, and the stages of its ending.
//! - `traffic`: its bytes, and how many of them a turn reads.
//! - `reply`: the bodies of answers; `unread`: those that the client does not read.
//! - `request`: reading the body of a request as a whole.
//! - `serve`, with `http1`, `http2` and `drive`: from bytes to requests and back, by hyper.
//!
//! What a request asks for is not known here: [`serve`] gets a function that answers it. So one
//! connection of HTTP/2 may carry calls of several protocols.
//!
//! Everything belongs to one worker and stays on its thread.

mod connection;
mod drive;
mod http1;
mod http2;
mod reply;
mod request;
mod serve;
mod traffic;
mod unread;

pub use connection::{Connection, Endpoint, Metrics, Settings, Version};
pub use reply::{Chunk, OnEnd, Part, Reply};
pub use request::{BodyError, read};
pub use serve::serve;
pub use unread::Watched;
