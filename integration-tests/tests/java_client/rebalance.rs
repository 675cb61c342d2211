//! Members of one group: which of them holds which queues when members join, leave and die.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{exactly_once, wait_arrived},
    java_client::JavaClient,
    scenario::{ClientBuilder, Scenario},
    sharing::wait_shared,
    suite::TestFn,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("orderly_members_rebalance", orderly_members_rebalance),
    ("members_rebalance", members_rebalance),
    (
        "direct_and_proxied_members_share_queues",
        direct_and_proxied_members_share_queues,
    ),
];

/// How soon the queues must be shared again. By themselves clients look only every 20 s; the broker
/// notifies them.
const REBALANCE_LIMIT: Duration = Duration::from_secs(5);
/// A broker keeps the locks of a member that died for 60 s; the others try again every 20 s at the
/// latest.
const DEAD_LOCK_LIMIT: Duration = Duration::from_secs(60 + 20);

fn members_rebalance(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let member = it.push_consumer(&topic);
    come_leave_and_die(it, &topic, &member, REBALANCE_LIMIT)
}

fn orderly_members_rebalance(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let member = it.push_consumer(&topic).option("orderly", true);
    come_leave_and_die(it, &topic, &member, DEAD_LOCK_LIMIT)
}

/// Takes a group from two members to three, by shutdown to two, by death to one.
fn come_leave_and_die(
    it: &Scenario<'_>,
    topic: &str,
    member: &ClientBuilder<'_>,
    after_death: Duration,
) -> Result<()> {
    let mut producer = it.producer().start()?;
    let first = member.clone().start()?;
    let second = member.clone().start()?;
    wait_shared(it, topic, &[&first, &second], REBALANCE_LIMIT)?;
    send_and_receive(&mut producer, topic, "two", &[&first, &second])?;

    let third = member.clone().start()?;
    wait_shared(it, topic, &[&first, &second, &third], REBALANCE_LIMIT)?;
    send_and_receive(&mut producer, topic, "three", &[&first, &second, &third])?;

    it.stop([third])?;
    wait_shared(it, topic, &[&first, &second], REBALANCE_LIMIT)?;
    send_and_receive(&mut producer, topic, "one-left", &[&first, &second])?;

    it.kill(second)?;
    wait_shared(it, topic, &[&first], after_death)?;
    send_and_receive(&mut producer, topic, "one-died", &[&first])?;
    it.stop([producer, first])
}

fn direct_and_proxied_members_share_queues(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let direct = it
        .push_consumer(&topic)
        .target(it.cluster().target())
        .start()?;
    let proxied = it.push_consumer(&topic).start()?;
    wait_shared(it, &topic, &[&direct, &proxied], REBALANCE_LIMIT)?;
    send_and_receive(&mut producer, &topic, "both", &[&direct, &proxied])?;

    it.stop([direct])?;
    wait_shared(it, &topic, &[&proxied], REBALANCE_LIMIT)?;
    send_and_receive(&mut producer, &topic, "proxied", &[&proxied])?;

    let direct = it
        .push_consumer(&topic)
        .target(it.cluster().target())
        .start()?;
    wait_shared(it, &topic, &[&direct, &proxied], REBALANCE_LIMIT)?;
    it.stop([proxied])?;
    wait_shared(it, &topic, &[&direct], REBALANCE_LIMIT)?;
    send_and_receive(&mut producer, &topic, "direct", &[&direct])?;
    it.stop([producer, direct])
}

/// Sends messages to all queues and waits until each has arrived once, some of them at every
/// member.
fn send_and_receive(
    producer: &mut JavaClient,
    topic: &str,
    name: &str,
    members: &[&JavaClient],
) -> Result<()> {
    let bodies = producer.send(topic, name, 48, &[])?;
    wait_arrived(members, &bodies)?;
    let sent: BTreeSet<&String> = bodies.iter().collect();
    let mut received = Vec::new();
    for member in members {
        let of_member: Vec<_> = member
            .received()
            .into_iter()
            .filter(|message| sent.contains(&message.body))
            .collect();
        ensure!(
            !of_member.is_empty(),
            "{name}: a member that holds queues got nothing"
        );
        received.extend(of_member);
    }
    exactly_once(&received, &bodies)
}
