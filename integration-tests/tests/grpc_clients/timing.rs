//! Messages that are delivered later, not at all, or before others.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{exactly_once, wait_exactly_once},
    rocketmq::MessageType,
};

use crate::case::{Case, Feature};

pub(crate) const FEATURES: &[Feature] =
    &[("recall", recall), ("delay", delay), ("priority", priority)];

/// The broker's timer is exact to 100 ms.
const PRECISION_MS: u64 = 100;

fn delay(case: &Case<'_>) -> Result<()> {
    const DELAY_MS: u64 = 4_000;
    let (topic, group) = (case.narrow_topic(MessageType::Delay)?, case.group()?);
    let mut consumer = case.witness(&topic, &group)?;
    let mut producer = case.producer(&topic).start()?;
    let options = [("delay-ms", &*DELAY_MS.to_string())];
    let bodies = producer.send(&topic, "m", 10, &options)?;
    case.wait_witnessed(&mut consumer, &bodies)?;
    let sent = producer.sent();
    for message in consumer.received() {
        let sent = sent.iter().find(|sent| sent.body == message.body);
        let sent = sent.context("every send was reported")?;
        let took = message.at.saturating_sub(sent.started_at);
        // On a busy machine it may be late, but never early.
        let allowed = DELAY_MS - PRECISION_MS..DELAY_MS + 15_000;
        ensure!(
            allowed.contains(&took),
            "{} arrived after {took} ms",
            message.body
        );
    }
    case.it.stop([producer, consumer])
}

/// A delayed message that is recalled is not delivered; others are.
fn recall(case: &Case<'_>) -> Result<()> {
    const DELAY_MS: u64 = 10_000;
    let (topic, group) = (case.topic(MessageType::Delay)?, case.group()?);
    let consumer = case.push_consumer(&topic, &group).start()?;
    let mut producer = case.producer(&topic).start()?;
    let options = [("delay-ms", &*DELAY_MS.to_string())];
    let bodies = producer.send(&topic, "m", 6, &options)?;
    let recalled = producer.sent().into_iter().step_by(2);
    for sent in recalled.collect::<Vec<_>>() {
        let handle = sent.recall_handle.context("a delayed message has one")?;
        let id = producer.run("recall", &[("topic", &topic), ("handle", &handle)])?;
        let id: String = serde_json::from_value(id)?;
        ensure!(
            sent.id.as_ref() == Some(&id),
            "{id} instead of {:?}",
            sent.id
        );
    }
    let kept: Vec<String> = bodies.into_iter().skip(1).step_by(2).collect();
    wait_exactly_once(&[&consumer], &kept)?;
    // The others were due at the same time.
    thread::sleep(Duration::from_secs(5));
    exactly_once(&consumer.received(), &kept)?;
    case.it.stop([producer, consumer])
}

/// All of them arrive. In which order is the brokers' affair.
fn priority(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Priority)?, case.group()?);
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 16, &[("priorities", "0,1,2,3")])?;
    let mut consumer = case.simple_consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    case.it.stop([producer, consumer])
}
