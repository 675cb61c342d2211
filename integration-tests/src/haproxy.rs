//! HAProxy, as it stands in front of replicas: it balances connections, or requests of HTTP.

use std::{fs, net::SocketAddr, net::TcpStream, path::Path, time::Duration};

use anyhow::{Context, Result, bail};

use crate::{
    process::{Process, mortal, tail},
    wait::wait_until,
};

const READY_LIMIT: Duration = Duration::from_secs(20);

/// One address that is balanced between servers.
#[derive(Debug)]
pub struct Frontend {
    /// Where clients connect.
    pub bind: SocketAddr,
    /// Where they are taken, in turn.
    pub servers: Vec<Backend>,
    /// What is taken there.
    pub balance: Balance,
    /// How the servers get the client's address: an option of HAProxy such as `send-proxy`, or
    /// nothing.
    pub header: &'static str,
}

/// What servers get in turn.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Balance {
    /// Connections, into which it does not look.
    #[default]
    Connections,
    /// Requests of HTTP/1.1: each of a connection goes to another server.
    Requests,
}

/// One of the servers behind an address.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    /// Where it serves.
    pub address: SocketAddr,
    /// Where it answers `GET /readyz` as long as it must get connections.
    pub admin: SocketAddr,
}

/// A running HAProxy.
#[derive(Debug)]
pub struct HaProxy {
    process: Process,
}

impl HaProxy {
    /// Starts it and waits until it takes connections.
    ///
    /// # Errors
    /// When it does not, for example because it was not installed (`make haproxy`
    /// does that).
    pub fn start(dir: &Path, frontends: &[Frontend]) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let config = dir.join("haproxy.cfg");
        fs::write(&config, render(frontends))?;
        // Debian keeps it where only root's PATH leads.
        let installed = Path::new("/usr/sbin/haproxy");
        let program = if installed.exists() {
            installed
        } else {
            Path::new("haproxy")
        };
        let mut command = mortal(program);
        command.current_dir(dir).args(["-db", "-f"]).arg(&config);
        let mut process = Process::spawn("haproxy", &mut command, &dir.join("haproxy.log"))?;
        let addresses = frontends.iter().map(|frontend| frontend.bind);
        let addresses: Vec<SocketAddr> = addresses.collect();
        wait_until("haproxy to take connections", READY_LIMIT, || {
            if let Some(status) = process.exited()? {
                bail!("haproxy ended: {status}");
            }
            let open = |address: &SocketAddr| TcpStream::connect(address).is_ok();
            Ok(addresses.iter().all(open).then_some(()))
        })
        .with_context(|| tail(process.log(), 20))?;
        Ok(Self { process })
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn stop(mut self) -> Result<()> {
        if let Some(status) = self.process.exited()? {
            bail!("haproxy ended: {status}\n{}", tail(self.process.log(), 20));
        }
        self.process.kill()
    }
}

/// The configuration: in turn, to the servers that are ready.
fn render(frontends: &[Frontend]) -> String {
    let mut config = String::from(
        "global\n    maxconn 4000\n\
         defaults\n    balance roundrobin\n    retries 3\n    option redispatch 1\n    \
         timeout connect 1s\n    timeout client 1h\n    timeout server 1h\n    timeout check 1s\n",
    );
    for (number, frontend) in frontends.iter().enumerate() {
        config.push_str(&format!(
            "listen f{number}\n    bind {}\n    mode {}\n    option httpchk GET /readyz\n",
            frontend.bind,
            match frontend.balance {
                Balance::Connections => "tcp",
                Balance::Requests => "http",
            }
        ));
        for (server, Backend { address, admin }) in frontend.servers.iter().enumerate() {
            config.push_str(&format!(
                "    server s{server} {address} check addr {} port {} inter 200ms fall 2 rise 1 {}\n",
                admin.ip(),
                admin.port(),
                frontend.header
            ));
        }
    }
    config
}
