//! The Node client as a program.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    process::mortal,
    program::{ENDPOINTS, Program},
    workspace::{crate_dir, target_dir},
};

/// A client with its dependencies; see `clients/grpc-node` and `clients/http-node`.
#[derive(Debug)]
pub struct Node {
    script: PathBuf,
}

impl Node {
    /// Installs what the client that speaks gRPC depends on; quick when nothing has changed.
    ///
    /// # Errors
    /// When it cannot be installed, for example because there is no Node (`scripts/install-node.sh`
    /// installs it).
    pub fn build() -> Result<Self> {
        Self::build_of("grpc-node", "node")
    }

    /// The same for the SDK for HTTP.
    ///
    /// # Errors
    /// As for [`build`](Self::build).
    pub fn build_http() -> Result<Self> {
        Self::build_of("http-node", "http-node")
    }

    fn build_of(client: &str, folder: &str) -> Result<Self> {
        let out = target_dir().join(folder);
        let script = crate_dir().join("scripts/build-node.sh");
        let status = Command::new(&script)
            .arg(&out)
            .arg(client)
            .status()
            .context("cannot run build-node.sh")?;
        ensure!(status.success(), "{} failed: {status}", script.display());
        Ok(Self {
            script: out.join("main.js"),
        })
    }
}

impl Program for Node {
    fn command(&self, home: &Path) -> Command {
        let mut command = mortal("node");
        command
            .current_dir(home)
            // The library writes logs below it.
            .env("HOME", home)
            .arg(&self.script);
        command
    }

    fn address_option(&self) -> &'static str {
        ENDPOINTS
    }
}
