//! Sending and receiving as such.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{exactly_once, wait_exactly_once},
    rocketmq::MessageType,
    wait::now_ms,
};

use crate::case::{Case, Feature, HIDDEN_MS, one};

pub(crate) const FEATURES: &[Feature] = &[
    ("push_members", push_members),
    ("push_resumes", push_resumes),
    ("push", push),
    ("simple", simple),
    ("simple_empty", simple_empty),
    ("send_async", send_async),
    ("send_large", send_large),
    ("send_largest", send_largest),
    ("send_wrong_type_fails", send_wrong_type_fails),
    ("send_unknown_topic_fails", send_unknown_topic_fails),
];

/// Everything that the producer's application has set arrives.
fn simple(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer(&topic).start()?;
    let options = [
        ("keys", "true"),
        ("tags", "red,green"),
        ("numbered", "true"),
    ];
    let bodies = producer.send(&topic, "m", 20, &options)?;
    let mut consumer = case.simple_consumer(&topic, &group).start()?;
    let received = case.receive(&mut consumer, bodies.len(), HIDDEN_MS)?;
    exactly_once(&received, &bodies)?;
    let sent = producer.sent();
    for (number, body) in bodies.iter().enumerate() {
        let message = one(&received, body)?;
        let sent = sent.iter().find(|sent| sent.body == *body);
        let sent = sent.context("every send was reported")?;
        let mut keys = message.keys.clone();
        keys.sort();
        ensure!(
            keys == [format!("{body}-key"), format!("{body}-other")],
            "keys of {message:?}"
        );
        let tag = ["red", "green"].get(number % 2).copied();
        ensure!(message.tag.as_deref() == tag, "tag of {message:?}");
        let property = message.properties.get("number");
        ensure!(
            property == Some(&number.to_string()),
            "property of {message:?}"
        );
        ensure!(
            sent.id.as_ref() == Some(&message.id),
            "{message:?} was sent as {sent:?}"
        );
        ensure!(message.topic == topic, "topic of {message:?}");
        ensure!(message.reconsume_times == 0, "attempt of {message:?}");
    }
    let acknowledged = case.ack_all(&mut consumer)?;
    ensure!(
        acknowledged == bodies.len(),
        "acknowledged only {acknowledged}"
    );
    case.it.stop([producer, consumer])
}

/// Where nothing is, receiving takes as long as the client has asked for, and is no error.
fn simple_empty(case: &Case<'_>) -> Result<()> {
    const AWAIT_MS: u64 = 8_000;
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let consumer = case.simple_consumer(&topic, &group);
    let mut consumer = consumer.option("await-ms", AWAIT_MS).start()?;
    let started = now_ms();
    // The first receive ends past the limit.
    let received = case.poll(&mut consumer, 1, HIDDEN_MS, 1_000)?;
    let took = now_ms() - started;
    ensure!(received.is_empty(), "{received:?}");
    // Of a client that only sends a deadline, the proxy waits for a part of what the client allows
    // for the answer, too: Java 5.0.3.
    let allowed = AWAIT_MS - 1_000..AWAIT_MS + 8_000;
    ensure!(allowed.contains(&took), "it took {took} ms");
    case.it.stop([consumer])
}

fn push(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let consumer = case.push_consumer(&topic, &group).start()?;
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 40, &[])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    case.it.stop([producer, consumer])
}

/// A consumer that connects later continues where the one before it has stopped.
fn push_resumes(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer(&topic).start()?;
    let first = producer.send(&topic, "first", 40, &[])?;
    let consumer = case.push_consumer(&topic, &group).start()?;
    wait_exactly_once(&[&consumer], &first)?;
    case.it.stop([consumer])?;
    let second = producer.send(&topic, "second", 40, &[])?;
    let consumer = case.push_consumer(&topic, &group).start()?;
    wait_exactly_once(&[&consumer], &second)?;
    case.it.stop([producer, consumer])
}

/// Members of a group get each message once between them, and each of them gets some.
fn push_members(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let member = case.push_consumer(&topic, &group).option("consume-ms", 20);
    let members = [member.clone().start()?, member.start()?];
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 200, &[])?;
    wait_exactly_once(&members.each_ref(), &bodies)?;
    for member in &members {
        ensure!(!member.received().is_empty(), "a member got nothing");
    }
    case.it.stop(members.into_iter().chain([producer]))
}

fn send_async(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", 40, &[("mode", "async")])?;
    let mut consumer = case.simple_consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    case.it.stop([producer, consumer])
}

/// Bodies that fill windows of HTTP/2 many times over.
fn send_large(case: &Case<'_>) -> Result<()> {
    large(case, &case.topic(MessageType::Normal)?, 8, 1 << 20)
}

/// The largest body that a proxy accepts. There is one on each broker: several may be more than a
/// broker's answer has room for.
fn send_largest(case: &Case<'_>) -> Result<()> {
    large(case, &case.narrow_topic(MessageType::Normal)?, 2, 4 << 20)
}

fn large(case: &Case<'_>, topic: &str, count: usize, size: usize) -> Result<()> {
    let group = case.group()?;
    let mut producer = case.producer(topic).start()?;
    let bodies = producer.send(topic, "m", count, &[("size", &size.to_string())])?;
    let mut consumer = case.simple_consumer(topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    let sizes: BTreeSet<usize> = received.iter().map(|message| message.size).collect();
    ensure!(sizes == BTreeSet::from([size]), "sizes {sizes:?}");
    case.it.stop([producer, consumer])
}

/// A topic's type is known to clients: a message of another type is refused.
fn send_wrong_type_fails(case: &Case<'_>) -> Result<()> {
    let topic = case.topic(MessageType::Normal)?;
    let mut producer = case.producer(&topic).start()?;
    // So that the connection is seen.
    producer.send(&topic, "m", 1, &[])?;
    let sent = producer.send(&topic, "wrong", 1, &[("groups", "1")]);
    ensure!(sent.is_err(), "sent: {:?}", producer.sent());
    case.it.stop([producer])
}

fn send_unknown_topic_fails(case: &Case<'_>) -> Result<()> {
    let topic = case.topic(MessageType::Normal)?;
    let mut producer = case.producer(&topic).start()?;
    producer.send(&topic, "m", 1, &[])?;
    let unknown = case.it.name("unknown");
    let sent = producer.send(&unknown, "lost", 1, &[]);
    ensure!(sent.is_err(), "sent: {:?}", producer.sent());
    case.it.stop([producer])
}
