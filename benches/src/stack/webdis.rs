//! Webdis, which gives Redis an interface by HTTP, and its Redis.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use integration_tests::ports::free_ports;
use integration_tests::process::{Process, mortal, tail};
use integration_tests::wait::wait_until;
use serde_json::json;

use super::{Target, WEBDIS, local};

const START_LIMIT: Duration = Duration::from_secs(20);

/// The packages of both.
const PACKAGES: &str = "benches/scripts/install.sh redis-server webdis installs it";

/// Redis appends every entry to a file, which the system writes to the disk later, as a RocketMQ
/// broker does by default.
const REDIS: &[&str] = &[
    "--bind",
    "127.0.0.1",
    "--save",
    "",
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
];

/// A running Webdis with its Redis; they are killed when dropped.
#[derive(Debug)]
pub struct Webdis {
    webdis: Process,
    redis: Process,
    address: SocketAddr,
}

impl Webdis {
    /// Starts both below `dir`, with as many threads of Webdis as Remora has on two cores.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let first = free_ports(2)?;
        let (address, redis) = (local(first), local(first + 1));
        let mut command = mortal("redis-server");
        command
            .args(["--port", &redis.port().to_string(), "--dir"])
            .arg(dir)
            .args(REDIS);
        let redis_process = Process::spawn("redis", &mut command, &dir.join("redis.log"));
        let redis_process = redis_process.context(PACKAGES)?;
        wait_until("Redis to listen", START_LIMIT, || {
            Ok(TcpStream::connect(redis).ok().map(drop))
        })
        .with_context(|| tail(redis_process.log(), 20))?;

        let config = dir.join("webdis.json");
        let settings = json!({
            "redis_host": redis.ip(),
            "redis_port": redis.port(),
            "http_host": address.ip(),
            "http_port": address.port(),
            "threads": 2,
            "daemonize": false,
            "verbosity": 1,
            "logfile": dir.join("webdis.log"),
        });
        fs::write(&config, settings.to_string())?;
        let mut command = mortal("webdis");
        command.arg(config);
        let webdis = Process::spawn("webdis", &mut command, &dir.join("output.log"));
        let mut webdis = webdis.context(PACKAGES)?;
        wait_until("Webdis to reach Redis", START_LIMIT, || {
            if let Some(status) = webdis.exited()? {
                bail!("webdis ended: {status}\n{}", tail(webdis.log(), 20));
            }
            Ok(ping(address).ok())
        })?;
        Ok(Self {
            webdis,
            redis: redis_process,
            address,
        })
    }

    /// The way through it, to its own broker.
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            broker: Some(self.redis.pid()),
            ..Target::new(WEBDIS, vec![self.address], Some(self.webdis.pid()))
        }
    }

    /// Both, with the versions of their packages and how they are set up.
    ///
    /// # Errors
    /// When they are not installed as packages.
    pub fn version() -> Result<String> {
        let version = |package: &str| -> Result<String> {
            let mut command = Command::new("dpkg-query");
            let output = command.args(["-W", "-f", "${Version}", package]).output()?;
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        Ok(format!(
            "Webdis {} (two threads) with Redis {} (one stream, its log written every second)",
            version("webdis")?,
            version("redis-server")?
        ))
    }
}

/// Asks once for an answer of Redis.
fn ping(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START_LIMIT))?;
    stream.write_all(b"GET /PING HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer)?;
    let answer = String::from_utf8_lossy(answer.get(..read).unwrap_or_default());
    ensure!(answer.starts_with("HTTP/1.1 200"), "answered: {answer}");
    Ok(())
}
