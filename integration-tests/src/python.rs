//! The Python clients as programs.

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

/// One of the clients; see `clients/python`.
#[derive(Debug)]
pub struct Python {
    interpreter: PathBuf,
    module: PathBuf,
}

impl Python {
    /// `rocketmq` with the C++ client's library that it brings.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn rocketmq() -> Result<Self> {
        Self::install("rocketmq")
    }

    /// `rocketmq-client-python` with that same library.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn rocketmq_client_python() -> Result<Self> {
        Self::install("client-python")
    }

    /// The descriptors of the gRPC protocol's messages that `rocketmq-python-client` brings: a
    /// `FileDescriptorSet`.
    ///
    /// # Errors
    /// When it cannot be installed or read.
    pub fn grpc_descriptors() -> Result<Vec<u8>> {
        let python = Self::install("client-grpc")?;
        let modules = python.module.join("rocketmq/grpc_protocol");
        let output = Command::new(&python.interpreter)
            .arg(crate_dir().join("clients/python/descriptor.py"))
            .args(["definition_pb2.py", "service_pb2.py"].map(|module| modules.join(module)))
            .output()
            .context("cannot run descriptor.py")?;
        ensure!(
            output.status.success(),
            "descriptor.py failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    }

    fn install(client: &str) -> Result<Self> {
        let out = target_dir().join("python");
        let script = crate_dir().join("scripts/install-python.sh");
        let status = Command::new(&script)
            .arg(&out)
            .status()
            .context("cannot run install-python.sh")?;
        ensure!(status.success(), "{} failed: {status}", script.display());
        Ok(Self {
            interpreter: out.join("venv/bin/python"),
            module: out.join(client),
        })
    }
}

impl Program for Python {
    fn command(&self, home: &Path) -> Command {
        let mut command = mortal(&self.interpreter);
        command
            .current_dir(home)
            // The library writes logs and broadcasting members' offsets below it.
            .env("HOME", home)
            .env("PYTHONPATH", &self.module)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // The variable would win over what a test says.
            .env_remove("NAMESRV_ADDR")
            .arg(crate_dir().join("clients/python/client.py"));
        command
    }
}
