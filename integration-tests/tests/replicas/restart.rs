//! Replicas that are restarted one after the other.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::wait_arrived, java_client::JavaClient, scenario::Scenario, sharing::wait_shared,
    suite::TestFn, wait::wait_until,
};

use crate::{OLD, load::LIMIT, replicas};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("replicas_restart_in_turn", |it| {
        restart_in_turn(it, None, LIMIT)
    }),
    ("replicas_restart_in_turn_with_an_old_member", |it| {
        restart_in_turn(it, Some(OLD), OLD_LIMIT)
    }),
];

/// How soon queues must be shared again among members one of which is old: clients before 5.1
/// register again only with their next heartbeat, and they send one every 30 s. Directly it is the
/// same when a connection to a broker breaks.
const OLD_LIMIT: Duration = Duration::from_secs(40);

/// Members on both replicas and one connected directly share the queues all the time.
fn restart_in_turn(
    it: &Scenario<'_>,
    further: Option<&'static str>,
    limit: Duration,
) -> Result<()> {
    let mut replicas = replicas(it)?;
    let topic = it.topic()?;
    let target = replicas.target().clone();
    let proxied = it.push_consumer(&topic).target(&target);
    let direct = it.push_consumer(&topic).target(it.cluster().target());
    let mut members = vec![
        proxied.clone().start()?,
        proxied.clone().start()?,
        direct.start()?,
    ];
    if let Some(version) = further {
        members.push(proxied.version(version).start()?);
    }
    let all: Vec<&JavaClient> = members.iter().collect();
    wait_shared(it, &topic, &all, LIMIT)?;
    let mut producer = it.producer().target(&target).start()?;
    let options = [("topic", topic.as_str()), ("name", "m"), ("pause-ms", "20")];
    producer.run("start-sending", &options)?;
    for number in 0..2 {
        replicas.take(number)?.stop(&[])?;
        let settled = settle(it, &topic, &all, &producer, limit);
        settled.with_context(|| format!("replica {number} has left"))?;
        replicas.start_one(number)?;
        let settled = settle(it, &topic, &all, &producer, limit);
        settled.with_context(|| format!("replica {number} is back"))?;
    }
    producer.run("stop-sending", &[])?;
    let failures = producer.send_failures();
    ensure!(failures.is_empty(), "sends failed: {failures:?}");
    let bodies: Vec<String> = producer.sent().into_iter().map(|sent| sent.body).collect();
    wait_arrived(&all, &bodies)?;
    it.stop(members.into_iter().chain([producer]))?;
    replicas.stop(&[])
}

/// Lets the clients notice, and waits until they share the queues and everything that was sent has
/// arrived.
fn settle(
    it: &Scenario<'_>,
    topic: &str,
    members: &[&JavaClient],
    producer: &JavaClient,
    limit: Duration,
) -> Result<()> {
    thread::sleep(Duration::from_secs(2));
    wait_shared(it, topic, members, limit)?;
    let before = producer.sent().len();
    wait_until("the producer to go on", LIMIT, || {
        Ok((producer.sent().len() > before + 20).then_some(()))
    })?;
    let bodies: Vec<String> = producer.sent().into_iter().map(|sent| sent.body).collect();
    wait_arrived(members, &bodies)
}
