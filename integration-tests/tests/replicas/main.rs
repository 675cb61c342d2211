//! Two replicas of Remora behind one balancer, in front of a cluster that nothing else uses.

mod load;
mod requests;

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use anyhow::{Context, Result};
use integration_tests::{
    balancer::Balancer, ports::free_port, proxy_process::Remora, scenario::Scenario, suite::Suite,
};

fn main() -> ExitCode {
    let suite = Suite {
        name: "replicas",
        brokers: &["broker-a", "broker-b"],
        // Each test has replicas of its own, and some of them keep the machine busy.
        parallel: 1,
        expected_warnings: &[],
        // There are no replicas otherwise.
        only_through_remora: &[
            "replica_dies_under_load",
            "replicas_restart_in_turn",
            "requests_cross_replicas",
            "requester_moves_to_another_replica",
        ],
        tests: [load::TESTS, requests::TESTS].concat(),
    };
    suite.run()
}

/// Two replicas and what is in front of them.
struct Replicas {
    balancer: Balancer,
    listen: [SocketAddr; 2],
    /// `None` while it is down.
    remoras: [Option<Remora>; 2],
}

impl Replicas {
    fn start(it: &Scenario<'_>) -> Result<Self> {
        let listen =
            [free_port()?, free_port()?].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let mut replicas = Self {
            balancer: Balancer::start()?,
            listen,
            remoras: [None, None],
        };
        replicas.balancer.serve(&listen);
        for number in 0..listen.len() {
            replicas.start_one(it, number)?;
        }
        Ok(replicas)
    }

    /// Starts a replica that is down, where it was.
    fn start_one(&mut self, it: &Scenario<'_>, number: usize) -> Result<()> {
        let binary = it.remora_binary().context("the test is about Remora")?;
        let slot = self.remoras.get_mut(number).context("a replica")?;
        let listen = self.listen.get(number).context("a replica")?;
        *slot = Some(Remora::start_with(
            binary,
            &it.dir(&format!("remora-{number}"))?,
            &it.cluster().target().name_server,
            *listen,
            &[],
            &["--advertise", &self.balancer.address().to_string()],
        )?);
        Ok(())
    }

    /// Takes a replica out, to stop or kill it.
    fn take(&mut self, number: usize) -> Result<Remora> {
        let slot = self.remoras.get_mut(number).context("a replica")?;
        slot.take().context("the replica is down already")
    }

    /// Stops those that are up.
    fn stop(self) -> Result<()> {
        for remora in self.remoras.into_iter().flatten() {
            remora.stop(&[])?;
        }
        Ok(())
    }
}
