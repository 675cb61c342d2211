//! What a client is pointed at.

use std::net::SocketAddr;

/// A name server address for a client, and the only addresses that it may then connect to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The client's name server address, in the client's own form (`host:port;host:port`).
    pub name_server: String,
    /// Where the client's connections may lead.
    pub allowed: Vec<SocketAddr>,
}
