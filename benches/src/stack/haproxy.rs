//! HAProxy as a pass-through for TCP.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use integration_tests::ports::free_ports;
use integration_tests::process::{Process, mortal, tail};
use integration_tests::wait::wait_until;

use super::{HAPROXY, Target, local};
use crate::wire::Client;

const START_LIMIT: Duration = Duration::from_secs(20);

/// Where Debian keeps daemons, which is not in a user's path.
const DAEMONS: &str = "/usr/sbin";

/// As many threads as Remora has on a machine of two cores, which the figures are of.
const SETTINGS: &str = "\
global
    nbthread 2
    maxconn 9000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
";

/// A running HAProxy; it is killed when dropped.
#[derive(Debug)]
pub struct Haproxy {
    process: Process,
    addresses: Vec<SocketAddr>,
}

impl Haproxy {
    /// Starts it in front of these brokers, with a port for each.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(dir: &Path, brokers: &[SocketAddr]) -> Result<Self> {
        Self::start_at(dir, brokers, "")
    }

    /// The same, with TLS to clients: the file has a certificate and its key.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_secured(dir: &Path, brokers: &[SocketAddr], file: &Path) -> Result<Self> {
        Self::start_at(dir, brokers, &format!(" ssl crt {}", file.display()))
    }

    fn start_at(dir: &Path, brokers: &[SocketAddr], bind: &str) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let first = free_ports(u16::try_from(brokers.len())?)?;
        let addresses: Vec<_> = (first..).map(local).take(brokers.len()).collect();
        let mut settings = SETTINGS.to_owned();
        for (nth, (here, broker)) in addresses.iter().zip(brokers).enumerate() {
            settings.push_str(&format!(
                "listen broker-{nth}\n    bind {here}{bind}\n    server broker {broker}\n"
            ));
        }
        let config = dir.join("haproxy.cfg");
        fs::write(&config, settings)?;
        let mut command = mortal(binary()?);
        command.arg("-db").arg("-f").arg(config);
        let mut process = Process::spawn("haproxy", &mut command, &dir.join("output.log"))?;
        let last = addresses
            .last()
            .copied()
            .context("HAProxy needs a broker")?;
        wait_until("HAProxy to listen", START_LIMIT, || {
            if let Some(status) = process.exited()? {
                bail!("haproxy ended: {status}\n{}", tail(process.log(), 20));
            }
            Ok(Client::connect(last).ok().map(drop))
        })?;
        Ok(Self { process, addresses })
    }

    /// The way through it.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::new(HAPROXY, self.addresses.clone(), Some(self.process.pid()))
    }
}

/// The version that it prints.
///
/// # Errors
/// When it is not there.
pub fn version() -> Result<String> {
    let output = Command::new(binary()?).arg("-v").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(2).unwrap_or("unknown");
    Ok(version.to_owned())
}

fn binary() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path)
        .chain([PathBuf::from(DAEMONS)])
        .map(|dir| dir.join("haproxy"));
    let found = places.find(|file| file.is_file());
    found.context("haproxy is not there; benches/scripts/install.sh haproxy installs it")
}
