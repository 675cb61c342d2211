//! Replicas that go away while messages flow.

use std::{collections::BTreeSet, thread, time::Duration};

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{in_queue_order, unharmed, wait_arrived},
    java_client::JavaClient,
    scenario::Scenario,
    sharing::wait_shared,
    suite::TestFn,
    wait::{now_ms, wait_until},
};

use crate::Replicas;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("replica_dies_under_load", replica_dies_under_load),
    ("replicas_restart_in_turn", replicas_restart_in_turn),
];

/// How soon clients must go on, and share their queues, after a replica has gone or come.
const LIMIT: Duration = Duration::from_secs(10);
/// How long messages flow before and after a replica dies.
const FLOW: Duration = Duration::from_secs(5);
const PAUSE_MS: &str = "5";

fn replica_dies_under_load(it: &Scenario<'_>) -> Result<()> {
    let mut replicas = Replicas::start(it)?;
    let topic = it.topic()?;
    let target = replicas.balancer.target().clone();
    let member = it.push_consumer(&topic).target(&target);
    // The balancer's turns put one of two on each replica.
    let members = [member.clone().start()?, member.clone().start()?];
    let orderly = member
        .option("group", it.name("orderly"))
        .option("orderly", true);
    let orderly = [orderly.clone().start()?, orderly.start()?];
    let producer = it.producer().target(&target);
    let mut producers = [producer.clone().start()?, producer.start()?];
    wait_shared(it, &topic, &[&members[0], &members[1]], LIMIT)?;
    for (number, producer) in producers.iter_mut().enumerate() {
        let name = number.to_string();
        let options = [
            ("topic", topic.as_str()),
            ("name", &name),
            ("pause-ms", PAUSE_MS),
        ];
        producer.run("start-sending", &options)?;
    }
    thread::sleep(FLOW);
    let killed_at = now_ms();
    replicas.take(0)?.kill()?;
    thread::sleep(LIMIT + FLOW);
    let ended_at = now_ms();
    for producer in &mut producers {
        producer.run("stop-sending", &[])?;
    }

    let limit_ms = LIMIT.as_millis() as u64;
    for producer in &producers {
        let times: Vec<u64> = producer.sent().iter().map(|sent| sent.at).collect();
        no_pause("a producer", times, killed_at, ended_at)?;
        let late: Vec<_> = producer
            .send_failures()
            .into_iter()
            .filter(|failed| !(killed_at..killed_at + limit_ms).contains(&failed.at))
            .collect();
        ensure!(late.is_empty(), "sends failed: {late:?}");
    }
    let acknowledged: Vec<String> = producers
        .iter()
        .flat_map(|producer| producer.sent())
        .map(|sent| sent.body)
        .collect();
    for group in [[&members[0], &members[1]], [&orderly[0], &orderly[1]]] {
        wait_arrived(&group, &acknowledged)?;
        for member in group {
            let received = member.received();
            unharmed(&received)?;
            let times = received.iter().map(|message| message.at).collect();
            no_pause("a consumer", times, killed_at, ended_at)?;
        }
    }
    locks_held(&orderly)?;
    it.stop(members.into_iter().chain(orderly).chain(producers))?;
    replicas.stop()
}

/// Whether something went on within the limit after the death, and on until the end.
fn no_pause(who: &str, mut times: Vec<u64>, from: u64, to: u64) -> Result<()> {
    times.retain(|at| (from..to).contains(at));
    times.extend([from, to]);
    times.sort_unstable();
    let longest = times
        .windows(2)
        .filter_map(|pair| Some(pair.last()? - pair.first()?))
        .max()
        .unwrap_or_default();
    ensure!(
        u128::from(longest) <= LIMIT.as_millis(),
        "{who} paused for {longest} ms"
    );
    Ok(())
}

/// Whether every queue kept its order at each member, and nothing came to two members.
fn locks_held(orderly: &[JavaClient]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for member in orderly {
        let received = member.received();
        in_queue_order(&received)?;
        for message in received {
            ensure!(
                seen.insert((message.queue.clone(), message.offset)),
                "came to both members: {message:?}"
            );
        }
    }
    Ok(())
}

/// Members on both replicas and one connected directly share the queues all the time.
fn replicas_restart_in_turn(it: &Scenario<'_>) -> Result<()> {
    let mut replicas = Replicas::start(it)?;
    let topic = it.topic()?;
    let target = replicas.balancer.target().clone();
    let proxied = it.push_consumer(&topic).target(&target);
    let direct = it.push_consumer(&topic).target(it.cluster().target());
    let members = [proxied.clone().start()?, proxied.start()?, direct.start()?];
    let all: Vec<&JavaClient> = members.iter().collect();
    wait_shared(it, &topic, &all, LIMIT)?;
    let mut producer = it.producer().target(&target).start()?;
    let options = [("topic", topic.as_str()), ("name", "m"), ("pause-ms", "20")];
    producer.run("start-sending", &options)?;
    for number in 0..2 {
        replicas.take(number)?.stop(&[])?;
        settle(it, &topic, &all, &producer)?;
        replicas.start_one(it, number)?;
        settle(it, &topic, &all, &producer)?;
    }
    producer.run("stop-sending", &[])?;
    let failures = producer.send_failures();
    ensure!(failures.is_empty(), "sends failed: {failures:?}");
    let bodies: Vec<String> = producer.sent().into_iter().map(|sent| sent.body).collect();
    wait_arrived(&all, &bodies)?;
    it.stop(members.into_iter().chain([producer]))?;
    replicas.stop()
}

/// Lets the clients notice, and waits until they share the queues and everything that was sent has arrived.
fn settle(
    it: &Scenario<'_>,
    topic: &str,
    members: &[&JavaClient],
    producer: &JavaClient,
) -> Result<()> {
    thread::sleep(Duration::from_secs(2));
    wait_shared(it, topic, members, LIMIT)?;
    let before = producer.sent().len();
    wait_until("the producer to go on", LIMIT, || {
        Ok((producer.sent().len() > before + 20).then_some(()))
    })?;
    let bodies: Vec<String> = producer.sent().into_iter().map(|sent| sent.body).collect();
    wait_arrived(members, &bodies)
}
