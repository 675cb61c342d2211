//! The ways from a client to the cluster that a comparison tries.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::{Result, bail};

use crate::{
    network::Network,
    ports::{free_port, lone_port},
    proxy_process::{BrokerPort, Remora, Setup},
    replicas::Replicas,
    rocketmq::Cluster,
    target::Target,
};

/// One way.
#[derive(Clone, Debug)]
pub struct Way {
    /// For names of folders, topics and groups.
    pub name: &'static str,
    /// For tables.
    pub title: &'static str,
    /// What clients are pointed at.
    pub target: Target,
}

/// All ways, and what runs for them: directly, through Remora with a port for each broker, and,
/// when `REMORA_IT_REPLICAS` is 2, through two such replicas behind HAProxy.
#[derive(Debug)]
pub struct Ways {
    remora: Remora,
    replicas: Option<Replicas>,
    ways: Vec<Way>,
    /// Dropped last.
    _network: Option<Network>,
}

impl Ways {
    /// Starts the proxies and networks between clients and the cluster.
    ///
    /// # Errors
    /// When something does not start.
    pub fn start(binary: &Path, dir: &Path, cluster: &Cluster) -> Result<Self> {
        Self::start_in(binary, dir, cluster, None)
    }

    /// The same for clients in a network of their own, from which no broker can be reached;
    /// directly they are as usual.
    ///
    /// # Errors
    /// As for [`start`](Self::start), and when there can be no such network.
    pub fn start_hidden(binary: &Path, dir: &Path, cluster: &Cluster) -> Result<Self> {
        Self::start_in(binary, dir, cluster, Some(Network::create()?))
    }

    fn start_in(
        binary: &Path,
        dir: &Path,
        cluster: &Cluster,
        network: Option<Network>,
    ) -> Result<Self> {
        let at = network
            .as_ref()
            .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), Network::machine);
        let place = |target: &Target| Target {
            namespace: network.as_ref().map(|network| network.name().to_owned()),
            ..target.clone()
        };
        let name_servers = &cluster.target().name_server;
        let brokers: Vec<&str> = cluster
            .brokers()
            .iter()
            .map(|broker| broker.name())
            .collect();
        let ports = brokers.iter().map(|broker| {
            Ok(BrokerPort {
                broker,
                bind: SocketAddr::new(at, lone_port()?),
                advertise: None,
            })
        });
        let setup = Setup {
            name_servers,
            brokers: ports.collect::<Result<_>>()?,
            listen: SocketAddr::new(at, lone_port()?),
            admin: SocketAddr::new(at, free_port()?),
            advertise: None,
            further: "",
        };
        let remora = Remora::start_setup(binary, &dir.join("remora"), &setup)?;
        let mut ways = vec![
            Way {
                name: "direct",
                title: "direct",
                target: cluster.target().clone(),
            },
            Way {
                name: "remora",
                title: "Remora",
                target: place(remora.target()),
            },
        ];
        let replicas = match two_replicas()? {
            true => {
                let dir = dir.join("replicas");
                let replicas = Replicas::start(binary, &dir, name_servers, &brokers, at)?;
                ways.push(Way {
                    name: "replicas",
                    title: "Remora ×2",
                    target: place(replicas.target()),
                });
                Some(replicas)
            }
            false => None,
        };
        Ok(Self {
            remora,
            replicas,
            ways,
            _network: network,
        })
    }

    /// The ways, of which the first is direct.
    #[must_use]
    pub fn all(&self) -> &[Way] {
        &self.ways
    }

    /// The last lines of the proxies' logs, for a failure's report.
    #[must_use]
    pub fn last_log_lines(&self, lines: usize) -> String {
        let replicas = self.replicas.as_ref();
        let replicas = replicas.map(|replicas| replicas.last_log_lines(lines));
        self.remora.last_log_lines(lines) + &replicas.unwrap_or_default()
    }

    /// Stops everything.
    ///
    /// # Errors
    /// When something does not stop, or a proxy has complained.
    pub fn stop(self) -> Result<()> {
        self.remora.stop(&[])?;
        self.replicas.map_or(Ok(()), |replicas| replicas.stop(&[]))
    }
}

/// Whether the environment asks for them.
fn two_replicas() -> Result<bool> {
    match env::var("REMORA_IT_REPLICAS").as_deref() {
        Ok("1") | Err(_) => Ok(false),
        Ok("2") => Ok(true),
        Ok(other) => {
            bail!("REMORA_IT_REPLICAS is {other:?}; allowed are \"1\" (the default) and \"2\"")
        }
    }
}
