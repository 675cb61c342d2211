//! Two replicas of Remora behind HAProxy, with a port for each broker.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    haproxy::{Backend, Balance, Frontend, HaProxy},
    ports::{free_port, lone_port},
    proxy_process::{BrokerPort, Remora, Setup},
    target::Target,
};

/// How many there are.
pub const REPLICAS: usize = 2;

/// The replicas and what is in front of them.
#[derive(Debug)]
pub struct Replicas {
    binary: PathBuf,
    dir: PathBuf,
    name_servers: String,
    /// What else their configuration files have.
    further: String,
    /// The shared address, then that of each broker.
    fronts: Vec<SocketAddr>,
    /// The brokers that have a port.
    brokers: Vec<String>,
    seats: [Seat; REPLICAS],
    haproxy: Option<HaProxy>,
    target: Target,
}

/// The addresses of one replica, which it keeps when it is started again.
#[derive(Debug)]
struct Seat {
    admin: SocketAddr,
    /// As the fronts are.
    binds: Vec<SocketAddr>,
    /// `None` while it is down.
    remora: Option<Remora>,
}

impl Seat {
    fn choose(at: IpAddr, ports: usize) -> Result<Self> {
        Ok(Self {
            admin: SocketAddr::new(at, free_port()?),
            binds: choose(at, ports)?,
            remora: None,
        })
    }
}

fn choose(at: IpAddr, ports: usize) -> Result<Vec<SocketAddr>> {
    (0..ports)
        .map(|_| Ok(SocketAddr::new(at, lone_port()?)))
        .collect()
}

impl Replicas {
    /// Starts both and HAProxy, all at this address of the machine.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(
        binary: &Path,
        dir: &Path,
        name_servers: &str,
        brokers: &[&str],
        at: IpAddr,
    ) -> Result<Self> {
        Self::start_with(binary, dir, name_servers, brokers, at, "")
    }

    /// The same, with each request of HTTP/1.1 at another replica. Clients of other protocols
    /// cannot connect.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_for_http(
        binary: &Path,
        dir: &Path,
        name_servers: &str,
        at: IpAddr,
    ) -> Result<Self> {
        Self::start_all(binary, dir, name_servers, &[], at, "", Balance::Requests)
    }

    /// The same with further lines in their configuration files.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with(
        binary: &Path,
        dir: &Path,
        name_servers: &str,
        brokers: &[&str],
        at: IpAddr,
        further: &str,
    ) -> Result<Self> {
        let balance = Balance::Connections;
        Self::start_all(binary, dir, name_servers, brokers, at, further, balance)
    }

    fn start_all(
        binary: &Path,
        dir: &Path,
        name_servers: &str,
        brokers: &[&str],
        at: IpAddr,
        further: &str,
        balance: Balance,
    ) -> Result<Self> {
        let ports = 1 + brokers.len();
        let fronts = choose(at, ports)?;
        let seats = [Seat::choose(at, ports)?, Seat::choose(at, ports)?];
        let frontends: Vec<Frontend> = fronts
            .iter()
            .enumerate()
            .map(|(number, front)| Frontend {
                bind: *front,
                header: "",
                balance,
                servers: seats
                    .iter()
                    .filter_map(|seat| {
                        Some(Backend {
                            address: *seat.binds.get(number)?,
                            admin: seat.admin,
                        })
                    })
                    .collect(),
            })
            .collect();
        let (shared, of_brokers) = fronts.split_first().context("there is a shared address")?;
        let target = Target::new(*shared, of_brokers.iter().copied());
        let mut replicas = Self {
            binary: binary.to_owned(),
            dir: dir.to_owned(),
            name_servers: name_servers.to_owned(),
            further: further.to_owned(),
            brokers: brokers.iter().map(|broker| (*broker).to_owned()).collect(),
            fronts,
            seats,
            haproxy: None,
            target,
        };
        for number in 0..REPLICAS {
            replicas.start_one(number)?;
        }
        // It finds both ready from the start.
        replicas.haproxy = Some(HaProxy::start(&dir.join("haproxy"), &frontends)?);
        Ok(replicas)
    }

    /// The target of clients that go through HAProxy.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Starts a replica that is down, where it was.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_one(&mut self, number: usize) -> Result<()> {
        let seat = self.seats.get_mut(number).context("a replica")?;
        let all = self.fronts.iter().zip(&seat.binds);
        let brokers = self.brokers.iter().zip(all.skip(1));
        let setup = Setup {
            name_servers: &self.name_servers,
            listen: *seat.binds.first().context("a shared address")?,
            admin: seat.admin,
            advertise: self.fronts.first().copied(),
            brokers: brokers
                .map(|(broker, (front, bind))| BrokerPort {
                    broker,
                    bind: *bind,
                    advertise: Some(*front),
                })
                .collect(),
            further: &self.further,
        };
        let dir = self.dir.join(format!("replica-{number}"));
        seat.remora = Some(Remora::start_setup(&self.binary, &dir, &setup)?);
        Ok(())
    }

    /// Takes a replica out, to stop or kill it.
    ///
    /// # Errors
    /// When it is down.
    pub fn take(&mut self, number: usize) -> Result<Remora> {
        let seat = self.seats.get_mut(number).context("a replica")?;
        seat.remora.take().context("the replica is down already")
    }

    /// The last lines of the logs, for a failure's report.
    #[must_use]
    pub fn last_log_lines(&self, lines: usize) -> String {
        let up = self.seats.iter().filter_map(|seat| seat.remora.as_ref());
        up.map(|remora| remora.last_log_lines(lines)).collect()
    }

    /// Stops everything that is up.
    ///
    /// # Errors
    /// When something does not stop, or a replica has logged a warning that has none of the
    /// `expected` texts.
    pub fn stop(self, expected: &[&str]) -> Result<()> {
        for remora in self.seats.into_iter().filter_map(|seat| seat.remora) {
            remora.stop(expected)?;
        }
        self.haproxy.map_or(Ok(()), HaProxy::stop)
    }
}
