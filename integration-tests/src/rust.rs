//! The Rust client as a program.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    process::mortal,
    program::{ENDPOINTS, Program},
    workspace::{crate_dir, target_dir},
};

/// The compiled client; see `clients/grpc-rust`.
#[derive(Debug)]
pub struct Rust {
    binary: PathBuf,
}

impl Rust {
    /// Compiles the client with the versions of its own lock file; quick when nothing has changed.
    ///
    /// # Errors
    /// When the build fails.
    pub fn build() -> Result<Self> {
        let out = target_dir().join("rust");
        let manifest = crate_dir().join("clients/grpc-rust/Cargo.toml");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let output = Command::new(cargo)
            .args(["build", "--locked", "--manifest-path"])
            .arg(&manifest)
            .arg("--target-dir")
            .arg(&out)
            .output()
            .context("cannot run cargo")?;
        ensure!(
            output.status.success(),
            "building {} failed: {}",
            manifest.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Self {
            binary: out.join("debug/grpc-rust"),
        })
    }
}

impl Program for Rust {
    fn command(&self, home: &Path) -> Command {
        let mut command = mortal(&self.binary);
        command.current_dir(home);
        command
    }

    fn address_option(&self) -> &'static str {
        ENDPOINTS
    }
}
