//! Retries, dead letters, SQL filters, and the pull consumer.

use std::{collections::BTreeMap, thread};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    compare::{ClientBuilder, Feature, OFFSET_COMMIT_WAIT, Run},
    delivery::{DELIVERY_LIMIT, exactly_once, wait_exactly_once, wait_tries},
    java_client::{JavaClient, Received},
    wait::wait_until,
};
use serde_json::Value;

pub(crate) const FEATURES: &[Feature] = &[
    Feature::new("push_dead_letter", push_dead_letter),
    Feature::new("push_retry", push_retry),
    Feature::new("push_orderly_retry", push_orderly_retry),
    Feature::needs_brokers(
        "push_orderly_dead_letter",
        push_orderly_dead_letter,
        "tried too often",
        "the client sends a message that has failed for good to where that is stored, and else tries it for ever",
    ),
    Feature::new("push_sql_filter", push_sql_filter),
    Feature::new("pull_poll_resumes", pull_poll_resumes),
    Feature::new("pull_from_offset", pull_from_offset),
];

/// The delay level of one second.
const SHORTEST_DELAY: u32 = 1;
const POLL_LIMIT_MS: &str = "30000";

/// A message that is sent back is delivered again, as often as it fails.
fn push_retry(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    create_retry_topic(it)?;
    let consumer = it
        .push_consumer(&topic)
        .option("fail-times", 2)
        .option("delay-level", SHORTEST_DELAY)
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 20, &[])?;
    wait_tries(&consumer, &bodies, 3)?;
    it.stop([producer, consumer])
}

/// A message that fails for good ends in the group's dead letter topic.
fn push_dead_letter(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    create_retry_topic(it)?;
    let consumer = it
        .push_consumer(&topic)
        .option("fail-times", 1000)
        .option("max-reconsume-times", 1)
        .option("delay-level", SHORTEST_DELAY)
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 10, &[])?;
    wait_tries(&consumer, &bodies, 2)?;
    let reader = dead_letters(it, &bodies)?;
    it.stop([producer, consumer, reader])
}

/// As [`push_dead_letter`], after one more try.
fn push_orderly_dead_letter(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .option("orderly", true)
        .option("fail-times", 1000)
        .option("max-reconsume-times", 1)
        .option("suspend-ms", 200)
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 16, &[])?;
    wait_tries(&consumer, &bodies, 3)?;
    let reader = dead_letters(it, &bodies)?;
    it.stop([producer, consumer, reader])
}

/// A consumer that has received just these from the group's dead letters.
fn dead_letters(it: &Run<'_>, bodies: &[String]) -> Result<JavaClient> {
    let topic = format!("%DLQ%{}", it.name("consumers"));
    wait_until(
        "both brokers to have the dead letters",
        DELIVERY_LIMIT,
        || Ok((it.cluster().queues(&topic)?.len() == 2).then_some(())),
    )?;
    let reader = it
        .push_consumer(&topic)
        .option("group", it.name("readers"))
        .start()?;
    wait_exactly_once(&[&reader], bodies)?;
    Ok(reader)
}

/// The client looks for new topics every 30 s, and the first heartbeat makes this one just after
/// the first look.
fn create_retry_topic(it: &Run<'_>) -> Result<()> {
    let topic = format!("%RETRY%{}", it.name("consumers"));
    it.cluster().create_topic(&topic, 1)
}

/// A message that fails stays at the head of its queue until it succeeds.
fn push_orderly_retry(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .option("orderly", true)
        .option("fail-times", 2)
        .option("suspend-ms", 200)
        .start()?;
    let mut producer = it.producer().option("selector", "hash").start()?;
    let bodies = producer.send(&topic, "m", 6, &[("shards", "2")])?;
    wait_tries(&consumer, &bodies, 3)?;
    let mut tries: BTreeMap<String, Vec<(i64, u32)>> = BTreeMap::new();
    for message in consumer.received() {
        let place = (message.offset, message.reconsume_times);
        tries.entry(message.queue).or_default().push(place);
    }
    let sorted = tries.values().all(|tries| tries.is_sorted());
    ensure!(sorted, "out of order: {tries:?}");
    it.stop([producer, consumer])
}

fn push_sql_filter(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .option("sql", "number BETWEEN 10 AND 29 AND TAGS <> 'green'")
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 60, &[("tags", "red,green")])?;
    let wanted: Vec<String> = (10..30)
        .filter(|i| i % 2 == 0)
        .filter_map(|i| bodies.get(i).cloned())
        .collect();
    ensure!(wanted.len() == 10, "the test itself is wrong: {wanted:?}");
    wait_exactly_once(&[&consumer], &wanted)?;
    it.stop([producer, consumer])
}

fn pull_consumer<'a>(it: &'a Run<'_>, topic: &str) -> ClientBuilder<'a> {
    it.client("pull-consumer")
        .option("group", it.name("pullers"))
        .option("topic", topic)
}

/// Polls until this many messages have come, and returns those.
fn poll(consumer: &mut JavaClient, count: usize) -> Result<Vec<Received>> {
    let before = consumer.received().len();
    let options = [("count", &*count.to_string()), ("limit-ms", POLL_LIMIT_MS)];
    let polled = consumer.run("poll", &options)?;
    let received = consumer.received().split_off(before);
    ensure!(polled == received.len(), "polled {polled}: {received:?}");
    Ok(received)
}

fn pull_poll_resumes(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let first = producer.send(&topic, "first", 40, &[])?;
    let mut consumer = pull_consumer(it, &topic).start()?;
    exactly_once(&poll(&mut consumer, 40)?, &first)?;
    it.cluster().begin_commits(&it.name("pullers"), &topic)?;
    thread::sleep(OFFSET_COMMIT_WAIT);
    it.stop([consumer])?;
    let second = producer.send(&topic, "second", 40, &[])?;
    let mut consumer = pull_consumer(it, &topic).start()?;
    exactly_once(&poll(&mut consumer, 40)?, &second)?;
    it.stop([producer, consumer])
}

/// The application asks for a queue of a broker from an offset on.
fn pull_from_offset(it: &Run<'_>) -> Result<()> {
    const QUEUES: [&str; 2] = ["broker-a:2", "broker-b:2"];
    let topic = it.topic()?;
    let mut producer = it.producer().option("selector", "manual").start()?;
    let bodies = producer.send(&topic, "m", 20, &[("queues", &QUEUES.join(","))])?;
    let mut consumer = pull_consumer(it, &topic).start()?;
    for queue in QUEUES {
        let options = [("queue", queue), ("offset", "4")];
        let pulled: Value = consumer.run("pull-from", &options)?;
        it.fact(format!("{queue}: {pulled}"));
    }
    // The first four of each queue were passed over.
    let wanted: Vec<String> = bodies.get(8..).context("20 messages")?.to_vec();
    exactly_once(&consumer.received(), &wanted)?;
    it.stop([producer, consumer])
}
