//! Push consumers to which brokers hand out messages one by one (POP), not queues.

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{wait_arrived, wait_exactly_once},
    java_client::JavaClient,
    scenario::{ClientBuilder, Scenario},
    suite::TestFn,
};

use crate::consume::{wait_assigned, wait_tries};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("pop_retry", pop_retry),
    ("pop_members", pop_members),
    (
        "pop_member_dies_while_it_waits",
        pop_member_dies_while_it_waits,
    ),
];

/// How long a message that was handed out is nobody else's.
const INVISIBLE_MS: u64 = 60_000;
/// How soon what was handed out for a member that is dead must come to another.
const REDELIVERY_MS: u64 = 5_000;

/// Members of one group get each message once between them.
fn pop_members(it: &Scenario<'_>) -> Result<()> {
    let topic = pop_topic(it)?;
    let members = [start(&member(it, &topic))?, start(&member(it, &topic))?];
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 100, &[])?;
    wait_exactly_once(&[&members[0], &members[1]], &bodies)?;
    for member in &members {
        ensure!(!member.received().is_empty(), "a member got nothing");
    }
    it.stop(members.into_iter().chain([producer]))
}

/// A message that fails comes again.
fn pop_retry(it: &Scenario<'_>) -> Result<()> {
    let topic = pop_topic(it)?;
    let consumer = start(&member(it, &topic).option("fail-times", 1))?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 20, &[])?;
    wait_tries(&consumer, &bodies, 2)?;
    it.stop([producer, consumer])
}

fn pop_member_dies_while_it_waits(it: &Scenario<'_>) -> Result<()> {
    let topic = pop_topic(it)?;
    let survivor = start(&member(it, &topic))?;
    let victim = start(&member(it, &topic))?;
    let mut producer = it.producer().start()?;
    let before = producer.send(&topic, "before", 40, &[])?;
    wait_exactly_once(&[&survivor, &victim], &before)?;
    // Both wait for more now.
    it.kill(victim)?;
    let bodies = producer.send(&topic, "after", 40, &[])?;
    wait_arrived(&[&survivor], &bodies)?;
    let sent = producer.sent();
    for message in survivor.received() {
        let begun = sent
            .iter()
            .find(|sent| sent.body == message.body)
            .context("arrived before it was sent")?;
        let took = message.at.saturating_sub(begun.at);
        ensure!(took <= REDELIVERY_MS, "{} took {took} ms", message.body);
    }
    it.stop([producer, survivor])
}

/// A topic that brokers hand out to the test's group.
fn pop_topic(it: &Scenario<'_>) -> Result<String> {
    let topic = it.topic()?;
    let group = it.name("consumers");
    let arguments = [
        "setConsumeMode",
        "-c",
        "DefaultCluster",
        "-m",
        "POP",
        "-q",
        "0",
    ];
    let arguments = [arguments.as_slice(), &["-t", &topic, "-g", &group]].concat();
    let told = it.mqadmin(it.cluster().target(), &arguments)?;
    ensure!(
        told.matches("success").count() >= 2,
        "setConsumeMode: {told}"
    );
    Ok(topic)
}

fn member<'a>(it: &'a Scenario<'_>, topic: &str) -> ClientBuilder<'a> {
    it.push_consumer(topic)
        .option("pop-invisible-ms", INVISIBLE_MS)
}

/// Starts a member and waits until both brokers hand out messages to it.
fn start(member: &ClientBuilder<'_>) -> Result<JavaClient> {
    let mut member = member.clone().start()?;
    wait_assigned(&mut member, 2)?;
    let held = member.assignment();
    ensure!(
        held == ["broker-a:-1", "broker-b:-1"],
        "not in this mode: {held:?}"
    );
    Ok(member)
}
