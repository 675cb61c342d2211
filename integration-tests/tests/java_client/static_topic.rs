//! Static topics: their queues have numbers of their own, whichever broker has them.

use anyhow::Result;
use integration_tests::{delivery::wait_exactly_once, scenario::Scenario, suite::TestFn};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("static_topic", static_topic),
    ("static_topic_orderly", static_topic_orderly),
];

/// Makes a topic with six logical queues over both brokers.
fn create(it: &Scenario<'_>) -> Result<String> {
    let topic = it.name("topic");
    let arguments = [
        "updateStaticTopic",
        "-t",
        &topic,
        "-qn",
        "6",
        "-b",
        "broker-a,broker-b",
    ];
    it.mqadmin(it.cluster().target(), &arguments)?;
    Ok(topic)
}

fn static_topic(it: &Scenario<'_>) -> Result<()> {
    let topic = create(it)?;
    let mut producer = it.producer().start()?;
    let consumer = it.push_consumer(&topic).start()?;
    let first = producer.send(&topic, "first", 60, &[])?;
    wait_exactly_once(&[&consumer], &first)?;
    // Offsets are kept by logical queue.
    it.stop([consumer])?;
    let second = producer.send(&topic, "second", 60, &[])?;
    let consumer = it.push_consumer(&topic).start()?;
    wait_exactly_once(&[&consumer], &second)?;
    it.stop([producer, consumer])
}

fn static_topic_orderly(it: &Scenario<'_>) -> Result<()> {
    let topic = create(it)?;
    let mut producer = it.producer().start()?;
    let consumer = it.push_consumer(&topic).option("orderly", true).start()?;
    let bodies = producer.send(&topic, "m", 60, &[("mode", "selector"), ("shards", "5")])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    it.stop([producer, consumer])
}
