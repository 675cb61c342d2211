//! The Go client as a program.

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

/// The compiled client; see `clients/go`, `clients/grpc-go` and `clients/http-go`.
#[derive(Debug)]
pub struct Go {
    binary: PathBuf,
    address_option: &'static str,
}

impl Go {
    /// Compiles the client; quick when nothing has changed.
    ///
    /// # Errors
    /// When the build fails, for example because no Go was installed (`scripts/install-go.sh` does
    /// that).
    pub fn build() -> Result<Self> {
        Self::build_of("go", "name-server")
    }

    /// Compiles the client that speaks gRPC.
    ///
    /// # Errors
    /// As for [`build`](Self::build).
    pub fn build_grpc() -> Result<Self> {
        Self::build_of("grpc-go", ENDPOINTS)
    }

    /// Compiles the client with the SDK for HTTP.
    ///
    /// # Errors
    /// As for [`build`](Self::build).
    pub fn build_http() -> Result<Self> {
        Self::build_of("http-go", ENDPOINTS)
    }

    fn build_of(client: &str, address_option: &'static str) -> Result<Self> {
        let out = target_dir().join("go");
        let script = crate_dir().join("scripts/build-go.sh");
        let status = Command::new(&script)
            .arg(&out)
            .arg(client)
            .status()
            .context("cannot run build-go.sh")?;
        ensure!(status.success(), "{} failed: {status}", script.display());
        Ok(Self {
            binary: out.join(client),
            address_option,
        })
    }
}

impl Program for Go {
    fn command(&self, home: &Path) -> Command {
        let mut command = mortal(&self.binary);
        command
            .current_dir(home)
            // Broadcasting members keep their offsets below it.
            .env("HOME", home)
            // The variable would win over the address that the test sets.
            .env_remove("NAMESRV_ADDR")
            // Many clients share few cores.
            .env("GOMAXPROCS", "2");
        command
    }

    fn address_option(&self) -> &'static str {
        self.address_option
    }
}
