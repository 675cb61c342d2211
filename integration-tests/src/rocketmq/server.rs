//! One server of the cluster, which can be stopped, killed and started again.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;

use crate::process::{Process, tail};

/// A name server or broker at a port of its own that stays the same when it is started again.
#[derive(Debug)]
pub struct Server {
    name: String,
    port: u16,
    home: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    command: Command,
    /// `None` while the server is meant to be down.
    process: Option<Process>,
}

impl Server {
    pub(super) fn new(name: &str, port: u16, home: &Path, command: Command) -> Self {
        let state = Mutex::new(State {
            command,
            process: None,
        });
        Self {
            name: name.to_owned(),
            port,
            home: home.to_owned(),
            state,
        }
    }

    /// The broker's name, or `name-server`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Where a broker listens for its slaves.
    #[must_use]
    pub fn replication_port(&self) -> u16 {
        self.port + 1
    }

    /// Whether it is meant to be up.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state.lock().process.is_some()
    }

    /// Starts the process; it can be used somewhat later
    /// ([`Cluster::wait_registered`](super::Cluster::wait_registered)).
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<()> {
        let mut state = self.state.lock();
        let process = Process::spawn(&self.name, &mut state.command, &self.log())?;
        state.process = Some(process);
        Ok(())
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&self) -> Result<()> {
        self.state
            .lock()
            .process
            .take()
            .with_context(|| format!("{} does not run", self.name))?
            .kill()
    }

    /// Stops it in its tracks, connections open.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.with_process(Process::freeze)
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.with_process(Process::thaw)
    }

    fn with_process(&self, act: impl Fn(&Process) -> Result<()>) -> Result<()> {
        let state = self.state.lock();
        act(state
            .process
            .as_ref()
            .with_context(|| format!("{} does not run", self.name))?)
    }

    pub(super) fn check_alive(&self) -> Result<()> {
        if let Some(process) = &mut self.state.lock().process
            && let Some(status) = process.exited()?
        {
            bail!("{} ended by itself: {status}", self.name);
        }
        Ok(())
    }

    /// The last lines that it printed and logged.
    #[must_use]
    pub fn last_log_lines(&self, lines: usize) -> String {
        let logs = self.home.join("logs/rocketmqlogs");
        let files = [
            self.log(),
            logs.join("broker.log"),
            logs.join("remoting.log"),
            logs.join("namesrv.log"),
        ];
        let mut report = String::new();
        for file in files {
            let last = tail(&file, lines);
            if !last.is_empty() {
                let file = file.file_name().unwrap_or_default().to_string_lossy();
                report.push_str(&format!("--- {} {file}\n{last}\n", self.name));
            }
        }
        report
    }

    fn log(&self) -> PathBuf {
        self.home.join("output.log")
    }
}
