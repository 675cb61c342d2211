//! The process of the brokers that answer immediately.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use integration_tests::process::{Process, mortal, tail};

use super::{DIRECT, Target};

/// Running sinks; they are killed when dropped.
#[derive(Debug)]
pub struct Sinks {
    process: Process,
    name_server: SocketAddr,
    brokers: Vec<SocketAddr>,
}

impl Sinks {
    /// Starts that many.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start(dir: &Path, brokers: usize) -> Result<Self> {
        let mut command = mortal(std::env::current_exe()?);
        command.args(["sink-process", "--brokers", &brokers.to_string()]);
        let log = dir.join(format!("sinks-{brokers}.log"));
        let (process, _, stdout) = Process::spawn_piped("sinks", &mut command, &log)?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let mut addresses: Vec<SocketAddr> =
            serde_json::from_str(&line).with_context(|| tail(process.log(), 20))?;
        let name_server = addresses.remove(0);
        Ok(Self {
            process,
            name_server,
            brokers: addresses,
        })
    }

    /// Where their name server is.
    #[must_use]
    pub fn name_server(&self) -> SocketAddr {
        self.name_server
    }

    /// Where they are.
    #[must_use]
    pub fn brokers(&self) -> &[SocketAddr] {
        &self.brokers
    }

    /// The process of all of them.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The way to them without any proxy.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::new(DIRECT, self.brokers.clone(), None)
    }
}
