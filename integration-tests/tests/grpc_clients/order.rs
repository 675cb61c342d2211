//! Messages that are consumed in order within their group.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{DELIVERY_LIMIT, exactly_once, wait_exactly_once},
    java_client::Received,
    rocketmq::MessageType,
    wait::wait_until,
};

use crate::case::{Case, Feature};

pub(crate) const FEATURES: &[Feature] = &[
    ("fifo_push_retry", fifo_push_retry),
    ("fifo_push", fifo_push),
    ("fifo_simple", fifo_simple),
];

const GROUPS: [(&str, &str); 1] = [("groups", "4")];

fn fifo_push(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Fifo)?, case.ordered_group()?);
    let consumer = case.push_consumer(&topic, &group).start()?;
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 60, &GROUPS)?;
    wait_exactly_once(&[&consumer], &bodies)?;
    in_order(&consumer.received(), 1)?;
    case.it.stop([producer, consumer])
}

/// A message that fails is delivered again before the next one of its group.
fn fifo_push_retry(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Fifo)?, case.ordered_group()?);
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 12, &GROUPS)?;
    // It gets all messages of a group at once.
    let consumer = case.push_consumer(&topic, &group);
    let consumer = consumer.option("fail-times", 1).start()?;
    // Not every client counts the attempts that it makes by itself.
    wait_until("every message to be retried", DELIVERY_LIMIT, || {
        Ok((consumer.received().len() >= 2 * bodies.len()).then_some(()))
    })?;
    in_order(&consumer.received(), 2)?;
    case.it.stop([producer, consumer])
}

fn fifo_simple(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Fifo)?, case.ordered_group()?);
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 40, &GROUPS)?;
    let mut consumer = case.simple_consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    in_order(&received, 1)?;
    case.it.stop([producer, consumer])
}

/// Whether the messages of each group arrived in the order in which they were sent, each this
/// number of times in a row.
fn in_order(received: &[Received], tries: usize) -> Result<()> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for message in received {
        let group = message.message_group.as_deref();
        let group = group.with_context(|| format!("no group: {message:?}"))?;
        let number: usize = message.body.trim_start_matches("m-").parse()?;
        groups.entry(group).or_default().push(number);
    }
    ensure!(groups.len() == 4, "groups {groups:?}");
    for (group, numbers) in groups {
        let mut wanted = numbers.clone();
        wanted.sort_unstable();
        ensure!(numbers == wanted, "{group} arrived as {numbers:?}");
        let distinct: BTreeSet<_> = numbers.iter().collect();
        ensure!(
            numbers.len() == tries * distinct.len(),
            "{group} arrived as {numbers:?}"
        );
    }
    Ok(())
}
