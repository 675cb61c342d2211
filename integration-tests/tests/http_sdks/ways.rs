//! The ways from an SDK to the cluster.

use std::{
    env,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use anyhow::Result;
use integration_tests::{
    proxy_process::{Remora, remora_binary},
    replicas::Replicas,
    rocketmq::Cluster,
    target::Target,
};

/// One way.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// For names of folders, topics and groups.
    pub(crate) name: &'static str,
    /// For tables.
    pub(crate) title: &'static str,
    /// What clients are pointed at.
    pub(crate) target: Target,
}

/// All ways, and what runs for them: through Remora, and, when `REMORA_IT_REPLICAS` is 2, through
/// two replicas of it behind HAProxy, each request at another.
#[derive(Debug)]
pub(crate) struct Ways {
    remora: Remora,
    replicas: Option<Replicas>,
    ways: Vec<Way>,
}

impl Ways {
    pub(crate) fn start(dir: &Path, cluster: &Cluster) -> Result<Self> {
        let binary = remora_binary()?;
        let name_servers = &cluster.target().name_server;
        let remora = Remora::start(&binary, &dir.join("remora"), name_servers)?;
        let mut ways = vec![Way {
            name: "remora",
            title: "Remora",
            target: remora.target().clone(),
        }];
        let replicas = match env::var("REMORA_IT_REPLICAS").as_deref() == Ok("2") {
            true => {
                let at = IpAddr::V4(Ipv4Addr::LOCALHOST);
                let dir = dir.join("replicas");
                let replicas = Replicas::start_for_http(&binary, &dir, name_servers, at)?;
                ways.push(Way {
                    name: "replicas",
                    title: "Remora ×2",
                    target: replicas.target().clone(),
                });
                Some(replicas)
            }
            false => None,
        };
        Ok(Self {
            remora,
            replicas,
            ways,
        })
    }

    pub(crate) fn all(&self) -> &[Way] {
        &self.ways
    }

    /// The last lines of the proxies' logs, for a failure's report.
    pub(crate) fn last_log_lines(&self, lines: usize) -> String {
        let replicas = self.replicas.as_ref();
        let replicas = replicas.map(|replicas| replicas.last_log_lines(lines));
        self.remora.last_log_lines(lines) + &replicas.unwrap_or_default()
    }

    /// Stops everything.
    pub(crate) fn stop(self) -> Result<()> {
        self.remora.stop(&[])?;
        self.replicas.map_or(Ok(()), |replicas| replicas.stop(&[]))
    }
}
