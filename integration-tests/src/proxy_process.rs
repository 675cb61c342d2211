//! The `remora` binary as a process.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    ports::free_port,
    process::{Process, mortal, tail},
    target::Target,
    wait::wait_until,
    workspace::{crate_dir, target_dir},
};

/// How long a drain takes: the defaults are for balancers that take longer to notice.
const DRAIN: &str = "\n[drain]\nwait_ms = 1000\ntime_ms = 3000\ndeadline_ms = 20000\n";

const READY_LIMIT: Duration = Duration::from_secs(20);
/// Longer than the proxy takes to drain.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The binary to test: `REMORA_BIN`, or else the release build of this checkout, which is brought
/// up to date first.
///
/// # Errors
/// When the build fails.
pub fn remora_binary() -> Result<PathBuf> {
    if let Some(binary) = env::var_os("REMORA_BIN") {
        return Ok(binary.into());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "proxy-server",
            "--bin",
            "remora",
        ])
        .current_dir(crate_dir())
        .status()?;
    ensure!(status.success(), "the build of remora failed: {status}");
    Ok(target_dir().join("release/remora"))
}

/// Where a proxy listens, and which addresses it advertises.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The name servers (`host:port;host:port`).
    pub name_servers: &'a str,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where `/readyz` is served.
    pub admin: SocketAddr,
    /// The address that it advertises for every broker, if not the one that clients have connected
    /// to.
    pub advertise: Option<SocketAddr>,
    /// The brokers that have a port of their own.
    pub brokers: Vec<BrokerPort<'a>>,
    /// Further lines of the configuration file.
    pub further: &'a str,
}

/// A port that belongs to one broker.
#[derive(Debug)]
pub struct BrokerPort<'a> {
    /// The broker's name.
    pub broker: &'a str,
    /// Where the proxy listens.
    pub bind: SocketAddr,
    /// The address that it advertises, if it differs from the one to listen at.
    pub advertise: Option<SocketAddr>,
}

impl Setup<'_> {
    /// As a configuration file.
    fn render(&self) -> String {
        let name_servers: Vec<&str> = self.name_servers.split(';').collect();
        let advertised = |address: Option<SocketAddr>| {
            let line = address.map(|address| format!("advertise = \"{address}\"\n"));
            line.unwrap_or_default()
        };
        let mut file = format!(
            "name_servers = {name_servers:?}\nadmin = \"{}\"\n\n[[listener]]\nbind = \"{}\"\n{}",
            self.admin,
            self.listen,
            advertised(self.advertise)
        );
        file.push_str(DRAIN);
        for port in &self.brokers {
            file.push_str(&format!(
                "\n[[broker_listener]]\nbroker = \"{}\"\nbind = \"{}\"\n{}",
                port.broker,
                port.bind,
                advertised(port.advertise)
            ));
        }
        file.push('\n');
        file.push_str(self.further);
        file
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct Remora {
    process: Process,
    target: Target,
    admin: SocketAddr,
}

impl Remora {
    /// Starts the proxy in front of these name servers (`host:port;host:port`) and waits until it
    /// is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(binary: &Path, dir: &Path, name_servers: &str) -> Result<Self> {
        Self::start_at(binary, dir, name_servers, local(free_port()?))
    }

    /// Like [`start`](Self::start), listening at a given address.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_at(
        binary: &Path,
        dir: &Path,
        name_servers: &str,
        listen: SocketAddr,
    ) -> Result<Self> {
        Self::start_with(binary, dir, name_servers, listen, &[], &[])
    }

    /// Like [`start`](Self::start), with a port of its own for each of these brokers.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_with_broker_listeners(
        binary: &Path,
        dir: &Path,
        name_servers: &str,
        brokers: &[(&str, u16)],
    ) -> Result<Self> {
        Self::start_with(binary, dir, name_servers, local(free_port()?), brokers, &[])
    }

    /// Like [`start_with_broker_listeners`](Self::start_with_broker_listeners), listening at a
    /// given address and with further arguments.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_with(
        binary: &Path,
        dir: &Path,
        name_servers: &str,
        listen: SocketAddr,
        brokers: &[(&str, u16)],
        arguments: &[&str],
    ) -> Result<Self> {
        let admin = local(free_port()?);
        let mut command = mortal(binary);
        command
            .args(["--name-server", name_servers])
            .args(["--listen", &listen.to_string()])
            .args(["--admin", &admin.to_string()])
            .args(arguments);
        for (broker, port) in brokers {
            command.arg(format!("--broker-listen={broker}={}", local(*port)));
        }
        // A proxy that listens everywhere is reached here.
        let reached = if listen.ip().is_unspecified() {
            local(listen.port())
        } else {
            listen
        };
        let target = Target::new(reached, brokers.iter().map(|(_, port)| local(*port)));
        Self::launch(command, dir, admin, target)
    }

    /// Starts the proxy from a configuration file, with all the addresses of this setup.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_setup(binary: &Path, dir: &Path, setup: &Setup<'_>) -> Result<Self> {
        let ports = setup.brokers.iter().map(|port| port.bind);
        let target = Target::new(setup.listen, ports);
        Self::start_file(binary, dir, &setup.render(), setup.admin, target)
    }

    /// Starts the proxy from a configuration file that names these addresses of the admin listener
    /// and of the listener for clients.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_file(
        binary: &Path,
        dir: &Path,
        text: &str,
        admin: SocketAddr,
        target: Target,
    ) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let file = dir.join("remora.toml");
        fs::write(&file, text)?;
        let mut command = mortal(binary);
        command.arg("--config").arg(file);
        Self::launch(command, dir, admin, target)
    }

    fn launch(mut command: Command, dir: &Path, admin: SocketAddr, target: Target) -> Result<Self> {
        fs::create_dir_all(dir)?;
        command.current_dir(dir);
        let mut process = Process::spawn("remora", &mut command, &dir.join("remora.log"))?;
        wait_until("remora to be ready", READY_LIMIT, || {
            if let Some(status) = process.exited()? {
                bail!("remora ended: {status}\n{}", tail(process.log(), 20));
            }
            Ok(is_ready(admin).then_some(()))
        })
        .with_context(|| tail(process.log(), 20))?;
        Ok(Self {
            process,
            target,
            admin,
        })
    }

    /// Where its admin listener is.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The target of clients that go through this proxy.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Kills the proxy (SIGKILL).
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()
    }

    /// The process itself.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The last lines of its log, for a failure's report.
    #[must_use]
    pub fn last_log_lines(&self, lines: usize) -> String {
        format!("--- remora\n{}\n", tail(self.process.log(), lines))
    }

    /// Stops the proxy immediately (SIGINT): no client is left that would have to reconnect to
    /// another replica first.
    ///
    /// # Errors
    /// When it does not exit with 0, or has logged a warning or an error that contains none of the
    /// `expected` texts.
    pub fn stop(mut self, expected: &[&str]) -> Result<()> {
        self.process.interrupt()?;
        self.end(expected)
    }

    /// Makes the proxy drain and end (SIGTERM), as Kubernetes does.
    ///
    /// # Errors
    /// As with [`stop`](Self::stop).
    pub fn drain(mut self, expected: &[&str]) -> Result<()> {
        self.process.begin_termination()?;
        self.end(expected)
    }

    /// The lines of its log in which this text is.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log_lines(&self, text: &str) -> Result<Vec<String>> {
        let log = BufReader::new(fs::File::open(self.process.log())?);
        let lines = log.lines().map_while(Result::ok);
        Ok(lines.filter(|line| line.contains(text)).collect())
    }

    fn end(mut self, expected: &[&str]) -> Result<()> {
        let status = self.process.wait(STOP_LIMIT)?;
        ensure!(status.success(), "remora ended with {status}");
        let lines = self.log_lines("")?;
        let complaints: Vec<String> = lines
            .into_iter()
            .filter(|line| is_complaint(line) && !expected.iter().any(|text| line.contains(text)))
            .collect();
        ensure!(
            complaints.is_empty(),
            "remora's log has warnings or errors that the test does not expect:\n{}",
            complaints.join("\n")
        );
        let came = self.clients_told_of("client registered")?;
        let left = self.clients_told_of("client left")?;
        // Of more than these in a second, not all are logged.
        let all_are_told = came.len().max(left.len()) < 100;
        ensure!(
            came == left || !all_are_told,
            "not each client is logged once when it connects and once when it leaves:\n{came:?}\n{left:?}"
        );
        Ok(())
    }

    /// Address and id of each client in the log lines with this text, in order.
    fn clients_told_of(&self, text: &str) -> Result<Vec<(String, String)>> {
        let lines = self.log_lines(&format!("\"{text}\""))?;
        let mut clients: Vec<_> = lines
            .iter()
            .filter_map(|line| {
                let entry = serde_json::from_str::<Value>(line).ok()?;
                let value = |key| entry.get(key)?.as_str().map(str::to_owned);
                Some((value("peer")?, value("client_id")?))
            })
            .collect();
        clients.sort();
        Ok(clients)
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Whether `GET /readyz` is answered with 200.
fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> Result<String> {
        let mut connection = TcpStream::connect(admin)?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        connection
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: remora\r\nConnection: close\r\n\r\n")?;
        let mut status_line = String::new();
        BufReader::new(connection).read_line(&mut status_line)?;
        Ok(status_line)
    };
    ask().is_ok_and(|status_line| status_line.split_whitespace().nth(1) == Some("200"))
}

/// Whether a log line is a warning, an error, or no log line at all, as a panic's.
fn is_complaint(line: &str) -> bool {
    let level = serde_json::from_str::<Value>(line)
        .ok()
        .and_then(|entry| entry.get("level")?.as_str().map(str::to_owned));
    !matches!(level.as_deref(), Some("TRACE" | "DEBUG" | "INFO"))
}

#[cfg(test)]
mod tests {
    use super::is_complaint;

    #[test]
    fn warnings_and_panics_are_complaints() {
        assert!(is_complaint(
            r#"{"level":"WARN","fields":{"message":"closed"}}"#
        ));
        assert!(is_complaint("thread 'main' panicked at src/main.rs:1:1:"));
        assert!(!is_complaint(
            r#"{"level":"INFO","fields":{"message":"listening"}}"#
        ));
    }
}
