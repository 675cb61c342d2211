//! The same with a fake cluster: more ways than there is time for with a real one.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    abuse::{Addresses, Healthy, Kind, Upstream, World},
    balancer::{Balancer, Direction, Which},
    scenario::Scenario,
    suite::{TestFn, report},
    wait::wait_until,
};
use tokio::time::Instant;

use crate::REPLACED;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("fake_both_directions", |it| {
        silent(it, "both", Direction::Both, Which::All)
    }),
    ("fake_from_brokers_only", |it| {
        silent(it, "from", Direction::ToClient, Which::All)
    }),
    ("fake_to_brokers_only", |it| {
        silent(it, "to", Direction::ToServer, Which::All)
    }),
    ("fake_data_connections_only", |it| {
        silent(it, "data", Direction::Both, Which::Data)
    }),
    ("fake_lanes_only", |it| {
        silent(it, "lanes", Direction::Both, Which::Lanes)
    }),
];

/// How long healthy clients are measured after all must have continued.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// How many of a hundred requests must succeed then.
const OK_PERCENT: f64 = 99.0;
/// The healthy client that pulls, and sends a heartbeat when it connects.
const CONSUMER: &str = "healthy-healthy-others";

fn silent(it: &Scenario<'_>, name: &str, direction: Direction, which: Which) -> Result<()> {
    let binary = it.remora_binary().context("the test is about Remora")?;
    let upstream = Upstream::start()?;
    let fronts: Vec<Balancer> = upstream
        .brokers()
        .iter()
        .map(|broker| {
            let front = Balancer::start()?;
            front.serve(&[*broker]);
            Ok(front)
        })
        .collect::<Result<_>>()?;
    let addresses: Vec<_> = fronts.iter().map(Balancer::address).collect();
    upstream.advertise(&addresses);
    let world = World::start_behind(binary, &it.dir(name)?, "", "", upstream)?;
    let seen = world.seen();
    let healthy = Healthy::start(Addresses {
        proxy: world.ground().proxy,
        broker: world.broker(),
    })?;
    // Heartbeats are sent every second.
    wait_until("the consumer to be known", REPLACED, || {
        Ok((seen.heartbeats_of(CONSUMER) >= 2).then_some(()))
    })?;
    let struck = Instant::now();
    let count: usize = fronts
        .iter()
        .map(|front| front.silence(direction, which))
        .sum();
    ensure!(count > 0, "there was no connection to silence");
    let known = seen.heartbeats_of(CONSUMER);
    thread::sleep(REPLACED);
    let from = Instant::now();
    thread::sleep(AFTERWARDS);
    let to = Instant::now();
    // What is not answered then has failed.
    thread::sleep(Duration::from_secs(1));
    for kind in Kind::PROXIED {
        let meanwhile = healthy.summary(kind, struck, from);
        let afterwards = healthy.summary(kind, from, to);
        report(&format!(
            "{name}: {count} connections silent; {} of {} {} ok within {REPLACED:?}, {} of {} afterwards",
            meanwhile.ok,
            meanwhile.due,
            kind.name(),
            afterwards.ok,
            afterwards.due
        ));
        ensure!(
            afterwards.ok_percent() >= OK_PERCENT,
            "{} of {} {} are ok {REPLACED:?} later",
            afterwards.ok,
            afterwards.due,
            kind.name()
        );
    }
    let again = seen.heartbeats_of(CONSUMER);
    ensure!(
        again > known,
        "brokers have not heard of the consumer since its connections fell silent"
    );
    Ok(())
}
