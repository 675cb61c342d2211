//! The Go client as a program.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    process::mortal,
    program::Program,
    workspace::{crate_dir, target_dir},
};

/// The compiled client; see `clients/go`.
#[derive(Debug)]
pub struct Go {
    binary: PathBuf,
}

impl Go {
    /// Compiles the client; quick when nothing has changed.
    ///
    /// # Errors
    /// When the build fails, for example because no Go was installed (`scripts/install-go.sh` does
    /// that).
    pub fn build() -> Result<Self> {
        let out = target_dir().join("go");
        let script = crate_dir().join("scripts/build-go.sh");
        let status = Command::new(&script)
            .arg(&out)
            .status()
            .context("cannot run build-go.sh")?;
        ensure!(status.success(), "{} failed: {status}", script.display());
        Ok(Self {
            binary: out.join("client"),
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
            // The variable would win over what a test says.
            .env_remove("NAMESRV_ADDR")
            // Many clients share few cores.
            .env("GOMAXPROCS", "2");
        command
    }
}
