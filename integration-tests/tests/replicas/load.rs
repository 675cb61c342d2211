//! A replica that is killed while messages flow.

use std::{collections::BTreeSet, thread, time::Duration};

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{DELIVERY_LIMIT, in_queue_order, unharmed, wait_arrived},
    go::Go,
    java::NEWEST_CLIENT,
    java_client::JavaClient,
    scenario::{ClientBuilder, Scenario},
    suite::TestFn,
    wait::{now_ms, wait_until},
};

use crate::{OLD, replicas};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("replica_dies_under_load", |it| {
        replica_dies(it, LIMIT, true, |client| client.version(NEWEST_CLIENT))
    }),
    ("replica_dies_under_load_of_old_clients", |it| {
        replica_dies(it, DEAF_LIMIT, true, |client| client.version(OLD))
    }),
    ("replica_dies_under_load_of_go_clients", |it| {
        let go = Go::build()?;
        replica_dies(it, DEAF_LIMIT, false, |client| client.program(&go))
    }),
];

/// How soon clients must go on after a replica has gone.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// The same for consumers that do not hear of the end of a connection: a pull that was on it is given up after the 30 s
/// that any pull may take (4.9.3 overrides no `channelInactive`), and directly it is the same with a broker.
const DEAF_LIMIT: Duration = Duration::from_secs(40);
/// How long messages flow before a replica dies, and after clients must have gone on.
const FLOW: Duration = Duration::from_secs(5);
const PAUSE_MS: &str = "5";

/// Groups of two members, concurrent and orderly, and two producers, all of one kind of client.
fn replica_dies<'a>(
    it: &'a Scenario<'_>,
    consumer_limit: Duration,
    hands_over: bool,
    kind: impl Fn(ClientBuilder<'a>) -> ClientBuilder<'a>,
) -> Result<()> {
    let mut replicas = replicas(it)?;
    let topic = it.topic()?;
    let target = replicas.target().clone();
    let member = kind(it.push_consumer(&topic)).target(&target);
    let members = [member.clone().start()?, member.clone().start()?];
    let orderly = member
        .option("group", it.name("orderly"))
        .option("orderly", true);
    let orderly = [orderly.clone().start()?, orderly.start()?];
    let producer = kind(it.producer()).target(&target);
    let mut producers = [producer.clone().start()?, producer.start()?];
    for (number, producer) in producers.iter_mut().enumerate() {
        let name = number.to_string();
        let options = [
            ("topic", topic.as_str()),
            ("name", &name),
            ("pause-ms", PAUSE_MS),
        ];
        producer.run("start-sending", &options)?;
    }
    let all: Vec<&JavaClient> = members.iter().chain(&orderly).collect();
    // Members in Go give a queue up without unlocking it, and the broker keeps the lock for another minute.
    wait_until("every member to get messages", 2 * DELIVERY_LIMIT, || {
        let each = all.iter().all(|member| !member.received().is_empty());
        Ok(each.then_some(()))
    })?;
    thread::sleep(FLOW);
    let killed_at = now_ms();
    replicas.take(0)?.kill()?;
    thread::sleep(consumer_limit + FLOW);
    let ended_at = now_ms();
    for producer in &mut producers {
        producer.run("stop-sending", &[])?;
    }

    let limit_ms = LIMIT.as_millis() as u64;
    for producer in &producers {
        let times: Vec<u64> = producer.sent().iter().map(|sent| sent.at).collect();
        no_pause("a producer", LIMIT, times, killed_at, ended_at)?;
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
            no_pause("a consumer", consumer_limit, times, killed_at, ended_at)?;
        }
    }
    // As its source reads, Go hands a queue over without unlocking it. A message came to two of its members; that this is so
    // without Remora has not been tried.
    if hands_over {
        locks_held(&orderly)?;
    }
    it.stop(members.into_iter().chain(orderly).chain(producers))?;
    replicas.stop(&[])
}

/// Whether something went on within the limit after the death, and on until the end.
fn no_pause(who: &str, limit: Duration, mut times: Vec<u64>, from: u64, to: u64) -> Result<()> {
    times.retain(|at| (from..to).contains(at));
    times.extend([from, to]);
    times.sort_unstable();
    let longest = times
        .windows(2)
        .filter_map(|pair| Some(pair.last()? - pair.first()?))
        .max()
        .unwrap_or_default();
    ensure!(
        u128::from(longest) <= limit.as_millis(),
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
