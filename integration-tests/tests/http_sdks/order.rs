//! Messages that are consumed in order within their shard.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use integration_tests::{delivery::exactly_once, java_client::Received, rocketmq::MessageType};

use crate::case::{Case, Feature};

pub(crate) const FEATURES: &[Feature] = &[
    ("orderly", orderly),
    ("orderly_waits_for_ack", orderly_waits_for_ack),
];

/// For how long messages that were consumed in order are hidden.
const HIDDEN_MS: u64 = 60_000;

fn orderly(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Fifo)?, case.group()?);
    let mut producer = case.producer().start()?;
    let bodies = producer.send(&topic, "m", 40, &[("groups", "4")])?;
    let consumer = case.consumer(&topic, &group).option("orderly", true);
    let mut consumer = consumer.start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    in_order(&received, 4)?;
    case.it.stop([producer, consumer])
}

/// No further message of a shard before all of those that were handed out are acknowledged.
fn orderly_waits_for_ack(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Fifo)?, case.group()?);
    let mut producer = case.producer().start()?;
    let bodies = producer.send(&topic, "m", 6, &[("groups", "1")])?;
    let consumer = case.consumer(&topic, &group).option("orderly", true);
    let mut consumer = consumer.start()?;
    let first = case.receive_with(&mut consumer, 2, 30_000, &[("batch", "2")])?;
    ensure!(first.len() == 2, "received only {first:?}");
    for message in &first {
        let next = message.next_consumed_at.context("a time")?;
        let hidden = next.saturating_sub(message.at);
        let allowed = HIDDEN_MS - 10_000..=HIDDEN_MS + 1_000;
        ensure!(
            allowed.contains(&hidden),
            "hidden for {hidden} ms: {message:?}"
        );
    }
    case.nothing_more(&mut consumer)?;
    // One of the two is not enough.
    let (one, other) = bodies.get(..2).context("sent")?.split_at(1);
    ensure!(case.ack(&mut consumer, one, &[])?.is_empty(), "refused");
    case.nothing_more(&mut consumer)?;
    ensure!(case.ack(&mut consumer, other, &[])?.is_empty(), "refused");
    case.receive_and_ack(&mut consumer, bodies.len() - 2)?;
    let received = consumer.received();
    exactly_once(&received, &bodies)?;
    in_order(&received, 1)?;
    case.it.stop([producer, consumer])
}

/// Whether the messages of each shard arrived in the order in which they were sent.
fn in_order(received: &[Received], shards: usize) -> Result<()> {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for message in received {
        let shard = message.message_group.as_deref();
        let shard = shard.with_context(|| format!("no shard: {message:?}"))?;
        let number: usize = message.body.trim_start_matches("m-").parse()?;
        let before = last.insert(shard, number);
        ensure!(
            before.is_none_or(|before| before < number),
            "{shard}: {number} arrived after {before:?}"
        );
    }
    ensure!(last.len() == shards, "shards {last:?}");
    Ok(())
}
