//! Retries, broadcasting, and the pull consumer.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::{
    compare::{Feature, Run},
    delivery::{exactly_once, wait_arrived, wait_arrived_within, wait_tries},
    java_client::{JavaClient, Received},
    rocketmq::QUEUES_PER_BROKER,
    wait::wait_until,
};

pub(crate) const FEATURES: &[Feature] = &[
    Feature::needs_brokers(
        "push_retry",
        push_retry,
        "in vain for every message to be retried",
        "the client sends a message back to where that is stored, and forgets it when it cannot",
    ),
    Feature::new("push_broadcasting", push_broadcasting),
    Feature::new("pull", pull),
    Feature::broken(
        "pull_as_the_binding_does",
        pull_as_the_binding_does,
        "did not arrive",
        "the binding keeps one offset for the queues of one number on all brokers",
    ),
    Feature::new("pull_tag_filter", pull_tag_filter),
];

/// On both brokers together.
const QUEUES: usize = 2 * QUEUES_PER_BROKER;
/// The library looks for its queues every ten seconds.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// For how long messages are polled for that must come, and for those that will not.
const LONG_MS: &str = "30000";
const SHORT_MS: &str = "5000";

/// A message that fails is delivered again. The binding loses the result of an application that
/// fails, so the binding is bypassed.
fn push_retry(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let retries = format!("%RETRY%{}", it.name("consumers"));
    it.cluster().create_topic(&retries, 1)?;
    let consumer = it
        .push_consumer(&topic)
        .option("fail-times", 1)
        .option("raw-result", true)
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 10, &[])?;
    wait_tries(&consumer, &bodies, 2)?;
    it.stop([producer, consumer])
}

/// Every member gets everything from the time on at which it has taken its queues.
fn push_broadcasting(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let member = it.push_consumer(&topic).option("broadcasting", true);
    let members = [member.clone().start()?, member.start()?];
    let mut producer = it.producer().start()?;
    let both: Vec<&JavaClient> = members.iter().collect();
    let mut round = 0;
    wait_until("the members to take their queues", READY_LIMIT, || {
        // One message for each queue: a member that gets all of them has all queues.
        round += 1;
        let early = producer.send(&topic, &format!("early-{round}"), QUEUES, &[])?;
        let arrived = |member: &&JavaClient| {
            wait_arrived_within(Duration::from_secs(2), &[member], &early).is_ok()
        };
        Ok(both.iter().all(arrived).then_some(()))
    })?;
    let bodies = producer.send(&topic, "m", 40, &[])?;
    for member in &members {
        wait_arrived(&[member], &bodies)?;
        let mut received = member.received();
        received.retain(|message| message.body.starts_with("m-"));
        exactly_once(&received, &bodies)?;
        it.fact(format!("received {}", received.len()));
    }
    it.stop_unasked(members.into_iter().chain([producer]))
}

fn pull(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let first = producer.send(&topic, "first", 40, &[])?;
    let mut consumer = it
        .client("pull-consumer")
        .option("group", it.name("pullers"))
        .option("topic", &topic)
        .start()?;
    exactly_once(&poll(&mut consumer, 40, LONG_MS)?, &first)?;
    let second = producer.send(&topic, "second", 20, &[])?;
    exactly_once(&poll(&mut consumer, 20, LONG_MS)?, &second)?;
    it.stop([producer, consumer])
}

/// The steered client mends the binding in this place; here it does not.
fn pull_as_the_binding_does(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 40, &[])?;
    let mut consumer = it
        .client("pull-consumer")
        .option("group", it.name("pullers"))
        .option("topic", &topic)
        .option("as-it-is", true)
        .start()?;
    exactly_once(&poll(&mut consumer, 40, SHORT_MS)?, &bodies)?;
    it.stop([producer, consumer])
}

fn pull_tag_filter(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 40, &[("tags", "red,green")])?;
    let mut consumer = it
        .client("pull-consumer")
        .option("group", it.name("pullers"))
        .option("topic", &topic)
        .option("tags", "red")
        .start()?;
    let wanted: Vec<String> = bodies.into_iter().step_by(2).collect();
    exactly_once(&poll(&mut consumer, 20, LONG_MS)?, &wanted)?;
    it.stop([producer, consumer])
}

/// Polls until this many messages have come, and returns those.
fn poll(consumer: &mut JavaClient, count: usize, limit_ms: &str) -> Result<Vec<Received>> {
    let before = consumer.received().len();
    let options = [("count", &*count.to_string()), ("limit-ms", limit_ms)];
    let polled = consumer.run("poll", &options)?;
    let received = consumer.received().split_off(before);
    ensure!(polled == received.len(), "polled {polled}: {received:?}");
    Ok(received)
}
