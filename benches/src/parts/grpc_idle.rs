//! Thousands of gRPC clients with a Telemetry stream that ask for nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::ports::free_port;
use integration_tests::proxy_process::{Remora, Setup, remora_binary};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::Options;
use super::fleet::GROUPS;
use crate::checks::{Bound, Outcome};
use crate::load::{Caller, Present};
use crate::procfs::{CpuTimes, descriptors, resident};
use crate::report::Section;
use crate::shape::SEND_TOPIC;
use crate::stack::Sinks;
use crate::tables;

/// How long a process gets to become quiet.
const QUIET: Duration = Duration::from_secs(5);

/// `limits.memory_bytes`: all clients have the address of this machine, and an address may make the
/// proxy hold half of it.
const MEMORY: u64 = 4 << 30;

/// How many clients connect before memory is looked at for the first time.
const WARM_UP: usize = 64;

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let sinks = Sinks::start(dir, 1)?;
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let setup = Setup {
        name_servers: &sinks.name_server().to_string(),
        listen: local(free_port()?),
        admin: local(free_port()?),
        advertise: None,
        brokers: Vec::new(),
        further: &format!("[limits]\nmemory_bytes = {MEMORY}\n"),
    };
    let remora = Remora::start_setup(&remora_binary()?, &dir.join("remora"), &setup)?;
    let pid = remora.process().pid();
    let address = *remora.target().allowed.first().context("it listens")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcomes = LocalSet::new().block_on(&runtime, async {
        drop(connect(address, WARM_UP).await?);
        tokio::time::sleep(QUIET).await;
        let (before, lanes) = (resident(pid)?, descriptors(sinks.pid())?);
        let clients = connect(address, options.clients).await?;
        tokio::time::sleep(QUIET).await;
        let lanes = descriptors(sinks.pid())?.saturating_sub(lanes);
        ensure!(
            lanes >= options.clients,
            "{} clients have only {lanes} lanes",
            options.clients
        );
        let each = resident(pid)?.saturating_sub(before) as f64 / clients.len() as f64 / 1024.0;
        let start = CpuTimes::now(pid)?;
        tokio::time::sleep(Duration::from_secs(options.watch)).await;
        let share = CpuTimes::now(pid)?.micros_since(&start) / 1e6 / options.watch as f64 * 100.0;
        anyhow::Ok(vec![
            Outcome::single("idle", "KB for each client", each, Bound::AtMost(40.0)),
            Outcome::single("idle", "% of a core", share, Bound::AtMost(10.0)),
        ])
    })?;
    drop(runtime);
    remora.stop(&[""])?;
    Section {
        part: "grpc-idle",
        title: "gRPC clients that are idle".to_owned(),
        peers: Vec::new(),
        method: format!(
            "{} clients in {GROUPS} groups, each with a connection, a Telemetry stream and a lane to one sink broker, \
             watched for {} s.",
            options.clients, options.watch
        ),
        body: tables::outcomes(&outcomes),
    }
    .publish(&options.results)
}

/// Clients, one after the other: it is not their start that is measured.
async fn connect(address: SocketAddr, count: usize) -> Result<Vec<Present>> {
    let mut clients = Vec::with_capacity(count);
    for nth in 0..count {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let caller = Caller::over(stream).await?;
        let group = format!("group-{}", nth % GROUPS);
        clients.push(Present::open(caller, &format!("client-{nth}"), &group, SEND_TOPIC).await?);
    }
    Ok(clients)
}
