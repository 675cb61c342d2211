//! The Python clients as programs.

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

    /// `rocketmq-python-client`, which speaks gRPC, in an environment of its own.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn grpc() -> Result<EndpointPython> {
        EndpointPython::install("grpc-python")
    }

    /// `mq_http_sdk`, the SDK for HTTP, in an environment of its own.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub fn http() -> Result<EndpointPython> {
        EndpointPython::install("http-python")
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
        run("install-python.sh", &out)?;
        Ok(Self {
            interpreter: out.join("venv/bin/python"),
            module: out.join(client),
        })
    }
}

/// Runs an installing script for that folder.
fn run(name: &str, out: &Path) -> Result<()> {
    let script = crate_dir().join("scripts").join(name);
    let status = Command::new(&script).arg(out).status();
    let status = status.with_context(|| format!("cannot run {name}"))?;
    ensure!(status.success(), "{} failed: {status}", script.display());
    Ok(())
}

/// A client that speaks gRPC or HTTP; see `clients/grpc-python` and `clients/http-python`.
#[derive(Debug)]
pub struct EndpointPython {
    interpreter: PathBuf,
    client: &'static str,
}

impl EndpointPython {
    fn install(client: &'static str) -> Result<Self> {
        let out = target_dir().join(client);
        run(&format!("install-{client}.sh"), &out)?;
        Ok(Self {
            interpreter: out.join("venv/bin/python"),
            client,
        })
    }
}

impl Program for EndpointPython {
    fn command(&self, home: &Path) -> Command {
        let mut command = mortal(&self.interpreter);
        command
            .current_dir(home)
            // The library writes logs below it.
            .env("HOME", home)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(
                crate_dir()
                    .join("clients")
                    .join(self.client)
                    .join("main.py"),
            );
        command
    }

    fn address_option(&self) -> &'static str {
        ENDPOINTS
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
            // The variable would win over the address that the test sets.
            .env_remove("NAMESRV_ADDR")
            .arg(crate_dir().join("clients/python/client.py"));
        command
    }
}
