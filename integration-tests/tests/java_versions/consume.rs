//! Push consumers: every kind, filters, retries and dead letters.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{DELIVERY_LIMIT, in_queue_order, unharmed, wait_exactly_once, wait_tries},
    rocketmq::QUEUES_PER_BROKER,
    scenario::Scenario,
    sharing::wait_assigned,
    suite::TestFn,
    wait::wait_until,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("push_dead_letter", push_dead_letter),
    ("push_retry", push_retry),
    ("push_concurrent_resumes", push_concurrent_resumes),
    ("push_orderly", push_orderly),
    ("push_orderly_retry", push_orderly_retry),
    ("push_broadcasting", push_broadcasting),
    ("push_tag_filter", push_tag_filter),
    ("push_sql_filter", push_sql_filter),
];

/// The delay level of one second.
const SHORTEST_DELAY: u32 = 1;

/// A consumer that connects later continues where the one before it has stopped.
fn push_concurrent_resumes(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let first = producer.send(&topic, "first", 60, &[])?;
    let consumer = it.push_consumer(&topic).start()?;
    wait_exactly_once(&[&consumer], &first)?;
    it.stop([consumer])?;
    let second = producer.send(&topic, "second", 60, &[])?;
    let consumer = it.push_consumer(&topic).start()?;
    wait_exactly_once(&[&consumer], &second)?;
    it.stop([producer, consumer])
}

fn push_orderly(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).option("orderly", true).start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 100, &[("mode", "selector"), ("shards", "5")])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    in_queue_order(&consumer.received())?;
    it.stop([producer, consumer])
}

/// A message that fails stays at the head of its queue until it succeeds.
fn push_orderly_retry(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 6, &[("mode", "selector"), ("shards", "2")])?;
    let consumer = it
        .push_consumer(&topic)
        .option("orderly", true)
        .option("fail-times", 2)
        .option("suspend-ms", 200)
        .start()?;
    wait_tries(&consumer, &bodies, 3)?;
    let received = consumer.received();
    let places: Vec<(&str, i64, u32)> = received
        .iter()
        .map(|message| {
            (
                message.queue.as_str(),
                message.offset,
                message.reconsume_times,
            )
        })
        .collect();
    for queue in received
        .iter()
        .map(|message| message.queue.as_str())
        .collect::<BTreeSet<_>>()
    {
        let of_queue: Vec<_> = places.iter().filter(|(name, ..)| *name == queue).collect();
        ensure!(of_queue.is_sorted(), "out of order: {of_queue:?}");
    }
    it.stop([producer, consumer])
}

/// Every member gets everything from its start on; none gets what was sent before.
fn push_broadcasting(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    producer.send(&topic, "before", 20, &[])?;
    let member = it
        .push_consumer(&topic)
        .option("broadcasting", true)
        .option("from", "LAST_OFFSET");
    let mut members = [member.clone().start()?, member.start()?];
    for member in &mut members {
        // A queue is taken after the place to start at was asked for.
        wait_assigned(member, 2 * QUEUES_PER_BROKER)?;
    }
    let bodies = producer.send(&topic, "m", 60, &[])?;
    for member in &members {
        wait_exactly_once(&[member], &bodies)?;
    }
    it.stop(members.into_iter().chain([producer]))
}

fn push_tag_filter(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .option("tags", "red || blue")
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 60, &[("tags", "red,green,blue")])?;
    let wanted: Vec<_> = bodies
        .into_iter()
        .enumerate()
        .filter(|(i, _)| i % 3 != 1)
        .map(|(_, body)| body)
        .collect();
    wait_exactly_once(&[&consumer], &wanted)?;
    it.stop([producer, consumer])
}

fn push_sql_filter(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .option("sql", "number BETWEEN 10 AND 29 AND TAGS <> 'green'")
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 60, &[("tags", "red,green")])?;
    let wanted: Vec<_> = (10..30)
        .filter(|i| i % 2 == 0)
        .filter_map(|i| bodies.get(i).cloned())
        .collect();
    ensure!(wanted.len() == 10, "the test itself is wrong: {wanted:?}");
    wait_exactly_once(&[&consumer], &wanted)?;
    it.stop([producer, consumer])
}

/// A message that is sent back is delivered again, as often as it fails.
fn push_retry(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .option("fail-times", 2)
        .option("delay-level", SHORTEST_DELAY)
        // The retry topic is made by the first heartbeat, after the first look for its route.
        .option("poll-name-server-ms", 1000)
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 20, &[])?;
    wait_tries(&consumer, &bodies, 3)?;
    unharmed(&consumer.received())?;
    it.stop([producer, consumer])
}

/// A message that fails for good ends in the group's dead letter topic.
fn push_dead_letter(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .option("fail-times", 1000)
        .option("max-reconsume-times", 1)
        .option("delay-level", SHORTEST_DELAY)
        .option("poll-name-server-ms", 1000)
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 10, &[])?;
    wait_tries(&consumer, &bodies, 2)?;
    let dead_letters = format!("%DLQ%{}", it.name("consumers"));
    wait_until(
        "both brokers to have the dead letter topic",
        DELIVERY_LIMIT,
        || Ok((it.cluster().queues(&dead_letters)?.len() == 2).then_some(())),
    )?;
    let reader = it
        .push_consumer(&dead_letters)
        .option("group", it.name("readers"))
        .start()?;
    wait_exactly_once(&[&reader], &bodies)?;
    wait_tries(&consumer, &bodies, 2)?;
    it.stop([producer, consumer, reader])
}
