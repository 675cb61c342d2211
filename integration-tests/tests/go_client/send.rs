//! Sends that only some clients have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    compare::{Feature, Run, send_in_mode},
    delivery::wait_exactly_once,
};

pub(crate) const FEATURES: &[Feature] = &[
    Feature::new("send_async", |it| send_in_mode(it, "async")),
    Feature::new("send_batch", |it| send_in_mode(it, "batch")),
    Feature::new("send_with_hash_selector", send_with_hash_selector),
    Feature::new("send_to_chosen_queue", send_to_chosen_queue),
];

fn send_with_hash_selector(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().option("selector", "hash").start()?;
    let bodies = producer.send(&topic, "m", 60, &[("shards", "6")])?;
    let consumer = it.push_consumer(&topic).start()?;
    wait_exactly_once(&[&consumer], &bodies)?;
    let mut queues: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
    for message in consumer.received() {
        queues
            .entry(message.shard)
            .or_default()
            .insert(message.queue);
    }
    // The hash is the client's, so the queues are the same each time.
    it.fact(format!("queues by shard: {queues:?}"));
    it.stop([producer, consumer])
}

/// The application names broker and queue of each message.
fn send_to_chosen_queue(it: &Run<'_>) -> Result<()> {
    const CHOSEN: [&str; 3] = ["broker-a:1", "broker-b:3", "broker-b:0"];
    let topic = it.topic()?;
    let mut producer = it.producer().option("selector", "manual").start()?;
    let bodies = producer.send(&topic, "m", 30, &[("queues", &CHOSEN.join(","))])?;
    let consumer = it.push_consumer(&topic).start()?;
    wait_exactly_once(&[&consumer], &bodies)?;
    for message in consumer.received() {
        let number: usize = message.body.trim_start_matches("m-").parse()?;
        let chosen = CHOSEN.get(number % CHOSEN.len()).context("one of three")?;
        ensure!(message.queue == *chosen, "not in {chosen}: {message:?}");
    }
    it.stop([producer, consumer])
}
