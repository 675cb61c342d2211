//! Programs that contain a client, and are steered by tests.

use std::{path::Path, process::Command};

/// A client that speaks the protocol of the steered clients (see `clients/`).
pub trait Program: Sync {
    /// The command that starts it, writing nothing outside of `home`. Role and options are still to
    /// be added.
    fn command(&self, home: &Path) -> Command;
}
