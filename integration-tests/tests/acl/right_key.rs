//! A client with a right key notices nothing of Remora, which has no key at all here.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{
        DELIVERY_LIMIT, exactly_once, in_queue_order, wait_arrived, wait_exactly_once, wait_tries,
    },
    java_client::JavaClient,
    pop::{pop_member, pop_topic, start_pop},
    requests::{request, wait_answered},
    scenario::Scenario,
    sharing::wait_shared,
    suite::TestFn,
    wait::wait_until,
};

use crate::users::{MEMBER, make_users};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("right_key_transactions", transactions),
    ("right_key_orderly", orderly),
    ("right_key_request_and_reply", request_and_reply),
    ("right_key_retries", retries),
    ("right_key_members", members),
    ("right_key_pop", pop),
    ("right_key_pop_in_binary_headers", pop_in_binary_headers),
    ("right_key_pop_by_hand", pop_by_hand),
    ("right_key_sends", sends),
    ("right_key_lite_pull", lite_pull),
];

const BINARY: &str = "-Drocketmq.serialize.type=ROCKETMQ";

fn sends(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).key(MEMBER).start()?;
    let mut producer = it.producer().key(MEMBER).start()?;
    let mut binary = it.producer().key(MEMBER).flag(BINARY).start()?;
    let mut bodies = Vec::new();
    for mode in ["sync", "async", "oneway", "batch", "selector"] {
        bodies.extend(producer.send(&topic, mode, 20, &[("mode", mode), ("shards", "3")])?);
        let name = format!("binary-{mode}");
        bodies.extend(binary.send(&topic, &name, 20, &[("mode", mode), ("shards", "3")])?);
    }
    // What is not ASCII is signed as UTF-8, and a body of some size is compressed before it is
    // signed.
    let large = [("size", "20000"), ("key", "größer"), ("tags", "rötlich")];
    bodies.extend(producer.send(&topic, "large", 5, &large)?);
    wait_exactly_once(&[&consumer], &bodies)?;
    it.stop([producer, binary, consumer])
}

/// Membership: members are known to each other, share the queues, and take over from one that
/// leaves.
fn members(it: &Scenario<'_>) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(40);
    make_users(it)?;
    let topic = it.topic()?;
    let member = it.push_consumer(&topic).key(MEMBER);
    let first = member.clone().start()?;
    let second = member.flag(BINARY).start()?;
    wait_shared(it, &topic, &[&first, &second], LIMIT)?;
    let mut producer = it.producer().key(MEMBER).start()?;
    let bodies = producer.send(&topic, "shared", 60, &[])?;
    wait_exactly_once(&[&first, &second], &bodies)?;
    it.stop([second])?;
    wait_shared(it, &topic, &[&first], LIMIT)?;
    let alone = producer.send(&topic, "alone", 20, &[])?;
    wait_arrived(&[&first], &alone)?;
    it.stop([producer, first])
}

/// Locks.
fn orderly(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).key(MEMBER).option("orderly", true);
    let consumer = consumer.start()?;
    let mut producer = it.producer().key(MEMBER).start()?;
    let bodies = producer.send(&topic, "m", 60, &[("mode", "selector"), ("shards", "5")])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    in_queue_order(&consumer.received())?;
    it.stop([producer, consumer])
}

/// Messages that are sent back.
fn retries(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .key(MEMBER)
        .option("fail-times", 1)
        .option("delay-level", 1)
        .option("poll-name-server-ms", 1000)
        .start()?;
    let mut producer = it.producer().key(MEMBER).start()?;
    let bodies = producer.send(&topic, "m", 10, &[])?;
    wait_tries(&consumer, &bodies, 2)?;
    it.stop([producer, consumer])
}

fn transactions(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).key(MEMBER).start()?;
    let mut producer = it.transaction_producer("commit").key(MEMBER).start()?;
    let mut begin = |verdict: &str| {
        let mode = [("mode", "transaction"), ("verdict", verdict)];
        producer.send(&topic, verdict, 10, &mode)
    };
    let mut bodies = begin("commit")?;
    begin("rollback")?;
    let asked_about = begin("unknown")?;
    bodies.extend(asked_about.clone());
    wait_exactly_once(&[&consumer], &bodies)?;
    let mut checked: Vec<String> = producer.checked().into_iter().map(|c| c.body).collect();
    checked.sort();
    checked.dedup();
    ensure!(checked == asked_about, "asked about {checked:?}");
    it.stop([producer, consumer])
}

fn request_and_reply(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    let replier = it.replier(&topic).key(MEMBER).start()?;
    let mut requester = it.requester().key(MEMBER).start()?;
    wait_answered(&mut requester, &topic)?;
    for number in 0..10 {
        request(
            &mut requester,
            &topic,
            &format!("r{number}"),
            "sync",
            number,
        )?;
    }
    it.stop([requester, replier])
}

fn pop(it: &Scenario<'_>) -> Result<()> {
    pop_with(it, &[])
}

/// Codes that do not fit into such a header go on in JSON, and the signature is good for both.
fn pop_in_binary_headers(it: &Scenario<'_>) -> Result<()> {
    pop_with(it, &[BINARY])
}

fn pop_with(it: &Scenario<'_>, flags: &[&str]) -> Result<()> {
    make_users(it)?;
    let topic = pop_topic(it)?;
    let member = pop_member(it, &topic).key(MEMBER).option("fail-times", 1);
    let member = flags.iter().fold(member, |member, flag| member.flag(flag));
    let consumer = start_pop(&member)?;
    let mut producer = it.producer().key(MEMBER).start()?;
    let bodies = producer.send(&topic, "m", 20, &[])?;
    wait_tries(&consumer, &bodies, 2)?;
    it.stop([producer, consumer])
}

/// The acknowledgement of several messages names its broker in the body.
fn pop_by_hand(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    let mut producer = it.producer().key(MEMBER).start()?;
    let mut sent = producer.send(&topic, "m", 16, &[])?;
    let mut popper = it.popper(&topic).key(MEMBER).start()?;
    let mut handles: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut popped = Vec::new();
    wait_until("what was sent to be handed out", DELIVERY_LIMIT, || {
        for broker in ["broker-a", "broker-b"] {
            let messages = popper.run("pop", &[("broker", broker)])?;
            for message in messages.as_array().context("a list")? {
                let text = |key| Some(message.get(key)?.as_str()?.to_owned());
                popped.push(text("body").context("a body")?);
                let handle = text("handle").context("a handle")?;
                handles.entry(broker).or_default().push(handle);
            }
        }
        Ok((popped.len() >= sent.len()).then_some(()))
    })?;
    popped.sort();
    sent.sort();
    ensure!(popped == sent, "{popped:?} and not {sent:?}");
    for (broker, handles) in handles {
        let (first, others) = handles.split_first().context("each broker had some")?;
        let later = [("handle", first.as_str()), ("invisible-ms", "30000")];
        let renewed = popper.run("change-invisible", &later)?;
        let renewed = renewed.as_str().context("a handle")?;
        let status = popper.run("ack", &[("handle", renewed)])?;
        ensure!(status == "OK", "{broker}: {status}");
        let status = popper.run("batch-ack", &[("handles", &others.join(","))])?;
        ensure!(status == "OK", "{broker}: {status}");
    }
    it.stop([producer, popper])
}

fn lite_pull(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    let mut producer = it.producer().key(MEMBER).start()?;
    let bodies = producer.send(&topic, "m", 40, &[])?;
    let mut consumer = it.lite_pull_consumer(&topic).key(MEMBER).start()?;
    exactly_once(&poll(&mut consumer, bodies.len())?, &bodies)?;
    consumer.run("commit", &[])?;
    producer.run("offsets", &[("topic", &topic)])?;
    it.stop([producer, consumer])
}

fn poll(
    consumer: &mut JavaClient,
    count: usize,
) -> Result<Vec<integration_tests::java_client::Received>> {
    let count = count.to_string();
    consumer.run("poll", &[("count", &count), ("limit-ms", "20000")])?;
    Ok(consumer.received())
}
