//! What a client is pointed at.

use std::{net::SocketAddr, process::Command};

use crate::process::in_namespace;

/// A name server address for a client, and the only addresses that it may then connect to.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The client's name server address, in the client's own form (`host:port;host:port`).
    pub name_server: String,
    /// Where the client's connections may lead.
    pub allowed: Vec<SocketAddr>,
    /// The network namespace in which the client runs, where that is not the machine's own.
    pub namespace: Option<String>,
}

impl Target {
    /// A target at one address, with further ones that its routes lead to.
    #[must_use]
    pub fn new(address: SocketAddr, further: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            name_server: address.to_string(),
            allowed: [address].into_iter().chain(further).collect(),
            namespace: None,
        }
    }

    /// The command that starts a client where this target is meant for.
    #[must_use]
    pub fn place(&self, command: Command) -> Command {
        match &self.namespace {
            Some(namespace) => in_namespace(namespace, &command),
            None => command,
        }
    }
}
