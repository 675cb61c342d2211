//! Messages that are delivered again: not acknowledged, failed, postponed, or given up.

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{DELIVERY_LIMIT, exactly_once, wait_exactly_once, wait_tries},
    java_client::JavaClient,
    rocketmq::{Group, MessageType},
    wait::{now_ms, wait_until},
};

use crate::case::{Case, Feature, LONG_MS, one};

pub(crate) const FEATURES: &[Feature] = &[
    ("push_dead_letter", push_dead_letter),
    ("simple_unacked_returns", simple_unacked_returns),
    ("simple_change_invisible", simple_change_invisible),
    ("simple_ack_after_change", simple_ack_after_change),
    ("push_retry", push_retry),
];

/// The least that the Java proxy accepts is half of that; but what is hidden for less returns while
/// the rest is still being received.
const HIDDEN_MS: u64 = 20_000;
/// How late a broker may be with what was hidden, on a busy machine.
const LATE_MS: u64 = 15_000;

fn push_retry(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let consumer = case.push_consumer(&topic, &group);
    let consumer = consumer.option("fail-times", 1).start()?;
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 10, &[])?;
    wait_tries(&consumer, &bodies, 2)?;
    let topics = consumer.received().into_iter();
    let mut others = topics.filter(|message| message.topic != topic);
    ensure!(others.next().is_none(), "a retry has another topic");
    case.it.stop([producer, consumer])
}

/// A message that fails for good ends in the group's dead letter topic.
fn push_dead_letter(case: &Case<'_>) -> Result<()> {
    let topic = case.topic(MessageType::Normal)?;
    let group = case.it.name("group");
    case.it.cluster().create_group(Group {
        retries: 1,
        ..Group::new(&group)
    })?;
    let consumer = case.push_consumer(&topic, &group);
    let consumer = consumer.option("fail-times", 1000).start()?;
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 10, &[])?;
    wait_tries(&consumer, &bodies, 2)?;
    let dead_letters = format!("%DLQ%{group}");
    wait_until(
        "both brokers to have the dead letter topic",
        2 * DELIVERY_LIMIT,
        || Ok((case.it.cluster().queues(&dead_letters)?.len() == 2).then_some(())),
    )?;
    let reader = case.it.push_consumer(&dead_letters).classic().start()?;
    wait_exactly_once(&[&reader], &bodies)?;
    wait_tries(&consumer, &bodies, 2)?;
    case.it.stop([producer, consumer, reader])
}

/// What is acknowledged is not delivered again; what is not is, as the second attempt.
fn simple_unacked_returns(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.narrow_topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 8, &[])?;
    let mut consumer = case.simple_consumer(&topic, &group).start()?;
    let received = case.receive(&mut consumer, bodies.len(), HIDDEN_MS)?;
    exactly_once(&received, &bodies)?;
    let (kept, acknowledged) = bodies.split_at(2);
    consumer.run("ack", &[("names", &acknowledged.join(","))])?;
    let again = case.receive(&mut consumer, kept.len(), HIDDEN_MS)?;
    exactly_once(&again, kept)?;
    for message in &again {
        ensure!(message.reconsume_times == 1, "attempt of {message:?}");
        let before = one(&received, &message.body)?;
        let took = message.at - before.at;
        let allowed = HIDDEN_MS - 1_000..HIDDEN_MS + LATE_MS;
        ensure!(allowed.contains(&took), "returned after {took} ms");
    }
    case.ack_all(&mut consumer)?;
    let more = case.poll(&mut consumer, 1, HIDDEN_MS, HIDDEN_MS + 5_000)?;
    ensure!(more.is_empty(), "delivered once more: {more:?}");
    case.it.stop([producer, consumer])
}

/// A message that was hidden for long returns when it is hidden for a shorter time instead.
fn simple_change_invisible(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.narrow_topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 1, &[])?;
    let mut consumer = case.simple_consumer(&topic, &group).start()?;
    case.receive(&mut consumer, 1, 2 * LONG_MS)?;
    let changed = now_ms();
    change(&mut consumer, &bodies, HIDDEN_MS)?;
    let again = case.receive(&mut consumer, 1, HIDDEN_MS)?;
    exactly_once(&again, &bodies)?;
    for message in &again {
        ensure!(message.reconsume_times == 1, "attempt of {message:?}");
        let took = message.at - changed;
        let allowed = HIDDEN_MS - 1_000..HIDDEN_MS + LATE_MS;
        ensure!(allowed.contains(&took), "returned after {took} ms");
    }
    case.ack_all(&mut consumer)?;
    case.it.stop([producer, consumer])
}

/// Complaint 3: a message can be acknowledged after the time that it is hidden was changed.
fn simple_ack_after_change(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.narrow_topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 4, &[])?;
    let mut consumer = case.simple_consumer(&topic, &group).start()?;
    case.receive(&mut consumer, bodies.len(), LONG_MS)?;
    change(&mut consumer, &bodies, HIDDEN_MS)?;
    case.ack_all(&mut consumer)?;
    let more = case.poll(&mut consumer, 1, HIDDEN_MS, LONG_MS)?;
    ensure!(more.is_empty(), "delivered once more: {more:?}");
    case.it.stop([producer, consumer])
}

fn change(consumer: &mut JavaClient, bodies: &[String], hidden_ms: u64) -> Result<()> {
    let hidden = hidden_ms.to_string();
    for body in bodies {
        let options = [("name", &**body), ("invisible-ms", &*hidden)];
        consumer.run("change-invisible", &options)?;
    }
    Ok(())
}
