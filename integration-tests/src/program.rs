//! Programs that contain a client, and are steered by tests.

use std::{fmt, path::Path, process::Command};

/// The option of clients that speak gRPC or HTTP for where they connect.
pub const ENDPOINTS: &str = "endpoints";

/// A client that speaks the protocol of the steered clients (see `clients/`).
pub trait Program: fmt::Debug + Sync {
    /// The command that starts it, writing nothing outside of `home`. Role and options are still to
    /// be added.
    fn command(&self, home: &Path) -> Command;

    /// The option for where it connects: a name server, unless it speaks gRPC or HTTP.
    fn address_option(&self) -> &'static str {
        "name-server"
    }
}
