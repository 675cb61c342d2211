//! Thousands of clients that send heartbeats only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use remoting_codec::SerializeType;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::fleet::{Fleet, GROUPS, HEARTBEAT};
use super::{Options, start_remora};
use crate::checks::{Bound, Outcome};
use crate::procfs::{CpuTimes, descriptors};
use crate::report::Section;
use crate::requests::send;
use crate::shape::SEND_TOPIC;
use crate::sink::broker_name;
use crate::stack::{Haproxy, Sinks, haproxy_version};
use crate::stats::Spread;
use crate::tables;

/// How long the proxy gets to come to rest after the start.
const SETTLE: Duration = Duration::from_secs(3);

/// How many connect to HAProxy at a time.
const AT_ONCE: usize = 100;

/// Clients that are connected while Remora is scraped, and how often it is.
const SCRAPED: usize = 10_000;
const SCRAPES: usize = 10;

/// How long a scrape takes while that many clients are connected.
fn scraping(dir: &Path, sinks: &Sinks) -> Result<Outcome> {
    let remora = start_remora(dir, sinks.name_server())?;
    let address = *remora.target().allowed.first().context("it listens")?;
    let kind = SerializeType::Json;
    let request = send(&broker_name(0), SEND_TOPIC, 0, 128, kind).to_bytes();
    let mut clients = Vec::new();
    for _ in 0..SCRAPED {
        let mut client = TcpStream::connect(address)?;
        // A client that has sent a frame is counted by language and version.
        client.write_all(&request)?;
        clients.push(client);
    }
    thread::sleep(SETTLE);
    let mut millis = Vec::new();
    for _ in 0..SCRAPES {
        let begun = Instant::now();
        let mut scrape = TcpStream::connect(remora.admin())?;
        scrape.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        scrape.read_to_string(&mut text)?;
        millis.push(begun.elapsed().as_secs_f64() * 1e3);
        let all = text
            .lines()
            .find(|line| line.starts_with("rocketmq_proxy_clients{"));
        let all = all.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        ensure!(all == Some(SCRAPED), "the scrape knows {all:?} clients");
    }
    drop(clients);
    remora.stop(&[""])?;
    Ok(Outcome {
        shape: format!("{SCRAPED} clients connected"),
        what: "ms for a scrape".to_owned(),
        figure: Spread::of(millis).context("a scrape")?,
        bound: Bound::AtMost(50.0),
    })
}

/// How much of a core, in per cent, a process takes while the clients send heartbeats only.
async fn share_while_idle(pid: u32, options: &Options) -> Result<f64> {
    tokio::time::sleep(SETTLE).await;
    let before = CpuTimes::now(pid)?;
    tokio::time::sleep(Duration::from_secs(options.watch)).await;
    let spent = CpuTimes::now(pid)?.micros_since(&before);
    Ok(spent / 1e6 / options.watch as f64 * 100.0)
}

/// The same clients through HAProxy, which wakes up as often and reads nothing of the heartbeats.
fn through_haproxy(options: &Options, dir: &Path, sinks: &Sinks) -> Result<f64> {
    let haproxy = Haproxy::start(&dir.join("haproxy"), sinks.brokers())?;
    let target = haproxy.target();
    let address = *target.addresses.first().context("it listens")?;
    let pid = target.proxy.context("it is a process")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let fleet = Fleet::start(address, options.clients, AT_ONCE).await?;
        let share = share_while_idle(pid, options).await?;
        ensure!(fleet.failed.get() == 0, "a heartbeat was not answered");
        Ok(share)
    })
}

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let sinks = Sinks::start(dir, 1)?;
    let remora = start_remora(dir, sinks.name_server())?;
    let pid = remora.process().pid();
    let lanes = descriptors(sinks.pid())?;
    let address = *remora.target().allowed.first().context("it listens")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut outcomes, share) = LocalSet::new().block_on(&runtime, async {
        let starting = CpuTimes::now(pid)?;
        let fleet = Fleet::start(address, options.clients, options.clients).await?;
        let start_cpu = CpuTimes::now(pid)?.micros_since(&starting) / 1e3;
        let lanes = descriptors(sinks.pid())?.saturating_sub(lanes);
        ensure!(
            lanes >= options.clients,
            "{} clients have only {lanes} lanes",
            options.clients
        );
        let share = share_while_idle(pid, options).await?;
        let seconds = fleet.registered_in.as_secs_f64();
        let start = format!("s until all are registered ({start_cpu:.0} ms of CPU time)");
        let idle = format!("% of a core ({} heartbeats)", fleet.answered.get());
        let refused = match fleet.refusal.as_str() {
            "" => "errors".to_owned(),
            last => format!("errors (last: {last})"),
        };
        let failed = fleet.failed.get() as f64;
        let outcomes = vec![
            Outcome::single("all at once", &start, seconds, Bound::AtMost(10.0)),
            Outcome::single(
                "all at once",
                &refused,
                fleet.refused as f64,
                Bound::AtMost(0.0),
            ),
            Outcome::single("idle", &idle, share, Bound::AtMost(3.0)),
            Outcome::single("idle", "heartbeats that failed", failed, Bound::AtMost(0.0)),
        ];
        anyhow::Ok((outcomes, share))
    })?;
    drop(runtime);
    remora.stop(&[""])?;
    let haproxy = through_haproxy(options, dir, &sinks)?;
    outcomes.push(Outcome::single(
        "idle",
        &format!("of what HAProxy takes for the same ({haproxy:.2} %)"),
        share / haproxy,
        // As for 1×1 of the side by side: a heartbeat wakes everybody up for one request.
        Bound::AtMost(1.1),
    ));
    outcomes.push(scraping(&dir.join("scraped"), &sinks)?);
    Section {
        part: "idle",
        title: "Clients that are idle".to_owned(),
        peers: vec![format!("HAProxy {} (TCP, two threads)", haproxy_version()?)],
        method: format!(
            "{} clients in {GROUPS} groups on one sink broker, a heartbeat every {} s, watched for {} s. At the start \
             each connects, asks for a route and registers, all at once; one that gets an error tries again. HAProxy's connect \
             {AT_ONCE} at a time, and only their cost while idle is measured.",
            options.clients,
            HEARTBEAT.as_secs(),
            options.watch
        ),
        body: tables::outcomes(&outcomes),
    }
    .publish(&options.results)
}
