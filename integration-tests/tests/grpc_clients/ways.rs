//! The ways from a client to the cluster. All of them take TLS and plain text on the same port.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use integration_tests::{
    java_proxy::JavaProxy,
    ports::{free_port, lone_port},
    proxy_process::{Remora, Setup, remora_binary},
    replicas::Replicas,
    rocketmq::Cluster,
    target::Target,
    tls::Authority,
};

/// What is between clients and the cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Remora,
    /// Two replicas behind HAProxy.
    Replicas,
    JavaProxy,
}

/// One way.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) kind: Kind,
    /// For names of folders, topics and groups.
    pub(crate) name: &'static str,
    /// For tables.
    pub(crate) title: &'static str,
    /// What clients are pointed at.
    pub(crate) target: Target,
}

/// The ways that the environment asks for: `REMORA_IT_REPLICAS=2` adds replicas, and all clients
/// add the Java proxy. `REMORA_IT_TARGET=java-proxy` leaves the Java proxy alone, which shows that
/// a test is right about it.
pub(crate) fn chosen(clients: &str) -> Result<Vec<Kind>> {
    match env::var("REMORA_IT_TARGET").as_deref() {
        Ok("java-proxy") => return Ok(vec![Kind::JavaProxy]),
        Ok("remora") | Err(_) => {}
        Ok(other) => bail!(
            "REMORA_IT_TARGET is {other:?}; allowed are \"remora\" (the default) and \"java-proxy\""
        ),
    }
    let mut kinds = vec![Kind::Remora];
    if env::var("REMORA_IT_REPLICAS").as_deref() == Ok("2") {
        kinds.push(Kind::Replicas);
    }
    if clients == "all" {
        kinds.push(Kind::JavaProxy);
    }
    Ok(kinds)
}

/// What runs for the ways.
#[derive(Debug)]
pub(crate) struct Ways {
    remora: Option<Remora>,
    replicas: Option<Replicas>,
    java_proxy: Option<JavaProxy>,
    ways: Vec<Way>,
    authority: PathBuf,
}

impl Ways {
    pub(crate) fn start(kinds: &[Kind], dir: &Path, cluster: &Cluster) -> Result<Self> {
        let authority = Authority::new()?;
        let mut ways = Self {
            remora: None,
            replicas: None,
            java_proxy: None,
            ways: Vec::new(),
            authority: authority.write(dir)?,
        };
        let (certificate, key) = authority.issue("mq.example.com")?.write(dir)?;
        let tls = format!(
            "[tls]\nmode = \"permissive\"\n\
             [[tls.certificate]]\ncertificate = {certificate:?}\nkey = {key:?}\n"
        );
        let name_servers = &cluster.target().name_server;
        let at = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for kind in kinds {
            let (name, title, target) = match kind {
                Kind::Remora => {
                    let setup = Setup {
                        name_servers,
                        brokers: Vec::new(),
                        listen: SocketAddr::new(at, lone_port()?),
                        admin: SocketAddr::new(at, free_port()?),
                        advertise: None,
                        further: &tls,
                    };
                    let dir = dir.join("remora");
                    let remora = Remora::start_setup(&remora_binary()?, &dir, &setup)?;
                    let remora = ways.remora.insert(remora);
                    ("remora", "Remora", remora.target())
                }
                Kind::Replicas => {
                    let dir = dir.join("replicas");
                    let binary = remora_binary()?;
                    let replicas =
                        Replicas::start_with(&binary, &dir, name_servers, &[], at, &tls)?;
                    let replicas = ways.replicas.insert(replicas);
                    ("replicas", "Remora ×2", replicas.target())
                }
                Kind::JavaProxy => {
                    let dir = dir.join("java-proxy");
                    let proxy = JavaProxy::start(&dir, name_servers, (&certificate, &key))
                        .context("the Java proxy")?;
                    let proxy = ways.java_proxy.insert(proxy);
                    ("java_proxy", "Java proxy", proxy.target())
                }
            };
            let target = target.clone();
            ways.ways.push(Way {
                kind: *kind,
                name,
                title,
                target,
            });
        }
        Ok(ways)
    }

    pub(crate) fn all(&self) -> &[Way] {
        &self.ways
    }

    /// The file of the authority that has signed the certificates.
    pub(crate) fn authority(&self) -> &Path {
        &self.authority
    }

    /// The last lines of the proxies' logs, for a failure's report.
    pub(crate) fn last_log_lines(&self, lines: usize) -> String {
        let remora = self.remora.as_ref();
        let remora = remora.map(|remora| remora.last_log_lines(lines));
        let replicas = self.replicas.as_ref();
        let replicas = replicas.map(|replicas| replicas.last_log_lines(lines));
        remora.unwrap_or_default() + &replicas.unwrap_or_default()
    }

    /// Stops everything.
    pub(crate) fn stop(self) -> Result<()> {
        self.remora.map_or(Ok(()), |remora| remora.stop(&[]))?;
        self.replicas
            .map_or(Ok(()), |replicas| replicas.stop(&[]))?;
        self.java_proxy.map_or(Ok(()), JavaProxy::stop)
    }
}
