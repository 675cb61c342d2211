//! Sending and consuming over HTTP/1.1 and HTTP/2, on one port in three faces: the protocol of the
//! existing SDKs below `/topics/`, a plain JSON API below `/v1/`, and nothing elsewhere.
//!
//! Pure functions, which neither wait nor read a clock:
//!
//! - [`json`]: the JSON API as values.
//! - [`sdk`]: the protocol of the existing SDKs as values.
//! - `percent`: percent-encoding, for both.
//!
//! The server, which stands on them and on the crates `messaging` and `http-server`:
//!
//! - `render`: errors of the cluster as clients see them.
//! - [`metrics`]: what is counted, by operation.
//! - `client`: a worker's server, and connections.
//! - `call`: one request, and reading its body; `answer`: writing answers.
//! - `calls`: the operations, one function each.
//! - `encoding`: gzip; `origin`: requests that web pages send.
//! - `router`: from requests to operations.
//!
//! No request needs what another has left here, so that any replica serves any of them. All but the
//! counts of streams (`calls/outstanding.rs`) belongs to one worker, and only the reading of long
//! documents leaves its thread.

mod answer;
mod call;
mod calls;
mod client;
mod encoding;
pub mod json;
pub mod metrics;
mod origin;
mod percent;
mod render;
mod router;
pub mod sdk;

pub use client::{Connection, Server, Settings};
pub use router::answer;
