//! Producers: every way to send, and that what was sent arrives once and unharmed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{in_queue_order, wait_exactly_once},
    java_client::{JavaClient, Received},
    rocketmq::QUEUES_PER_BROKER,
    scenario::Scenario,
    suite::TestFn,
    wait::now_ms,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("send_sync", send_sync),
    ("send_async", send_async),
    ("send_oneway", send_oneway),
    ("send_batch", send_batch),
    ("send_with_queue_selector", send_with_queue_selector),
    (
        "send_to_topic_that_does_not_exist",
        send_to_topic_that_does_not_exist,
    ),
    ("send_compressed", send_compressed),
    ("send_delayed_by_level", send_delayed_by_level),
    ("send_delivered_at_a_time", send_delivered_at_a_time),
    ("binary_headers", binary_headers),
];

/// How much later than due a delayed message may come on a busy machine.
const LATE_LIMIT_MS: u64 = 10_000;
/// What messages are called that are sent only to see that the consumer gets any.
const SETTLING: &str = "settling";

fn send_sync(it: &Scenario<'_>) -> Result<()> {
    send_in_mode(it, &[("mode", "sync")])
}

fn send_async(it: &Scenario<'_>) -> Result<()> {
    send_in_mode(it, &[("mode", "async")])
}

fn send_oneway(it: &Scenario<'_>) -> Result<()> {
    send_in_mode(it, &[("mode", "oneway")])
}

fn send_batch(it: &Scenario<'_>) -> Result<()> {
    send_in_mode(it, &[("mode", "batch"), ("batch", "10")])
}

fn send_compressed(it: &Scenario<'_>) -> Result<()> {
    // The client compresses bodies over 4 KiB.
    const SIZE: usize = 20_000;
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 50, &[("size", &SIZE.to_string())])?;
    let consumer = it.push_consumer(&topic).start()?;
    wait_exactly_once(&[&consumer], &bodies)?;
    let sizes: BTreeSet<usize> = consumer
        .received()
        .iter()
        .map(|message| message.size)
        .collect();
    ensure!(sizes == BTreeSet::from([SIZE]), "sizes: {sizes:?}");
    it.stop([producer, consumer])
}

fn send_in_mode(it: &Scenario<'_>, mode: &[(&str, &str)]) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 100, mode)?;
    wait_exactly_once(&[&consumer], &bodies)?;
    reaches_both_brokers(&consumer.received())?;
    let sent_ids: BTreeSet<_> = producer
        .sent()
        .into_iter()
        .filter_map(|sent| sent.id)
        .collect();
    let received_ids: BTreeSet<_> = consumer
        .received()
        .into_iter()
        .map(|message| message.id)
        .collect();
    // A one-way send returns no id.
    ensure!(
        sent_ids.is_empty() || sent_ids == received_ids,
        "ids sent: {sent_ids:?}, received: {received_ids:?}"
    );
    it.stop([producer, consumer])
}

fn send_with_queue_selector(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 60, &[("mode", "selector"), ("shards", "6")])?;
    let consumer = it.push_consumer(&topic).option("orderly", true).start()?;
    wait_exactly_once(&[&consumer], &bodies)?;
    each_shard_in_one_queue(&consumer, 6)?;
    it.stop([producer, consumer])
}

fn send_to_topic_that_does_not_exist(it: &Scenario<'_>) -> Result<()> {
    let topic = it.name("topic");
    ensure!(
        it.cluster().queues(&topic)?.is_empty(),
        "the topic exists already"
    );
    let mut producer = it.producer().start()?;
    let mut bodies = producer.send(&topic, "first", 20, &[])?;
    let consumer = it
        .push_consumer(&topic)
        .option("poll-name-server-ms", 1000)
        .start()?;
    bodies.extend(producer.send(&topic, "second", 20, &[])?);
    wait_exactly_once(&[&consumer], &bodies)?;
    it.stop([producer, consumer])
}

fn send_delayed_by_level(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it.producer().start()?;
    let mut bodies = wait_settled(&mut producer, &consumer, &topic)?;
    // The brokers' first levels are one second and five.
    bodies.extend(producer.send(&topic, "five-seconds", 10, &[("delay-level", "2")])?);
    bodies.extend(producer.send(&topic, "one-second", 10, &[("delay-level", "1")])?);
    wait_exactly_once(&[&consumer], &bodies)?;
    let due: BTreeMap<String, u64> = producer
        .sent()
        .into_iter()
        .map(|sent| (sent.started_at, sent.body))
        .map(|(at, body)| {
            if body.starts_with("five") {
                (body, at + 5000)
            } else {
                (body, at + 1000)
            }
        })
        .collect();
    in_time(&consumer, |body| due.get(body).copied())?;
    it.stop([producer, consumer])
}

fn send_delivered_at_a_time(it: &Scenario<'_>) -> Result<()> {
    // The brokers' timer is set to steps of 100 ms and counts them downwards.
    const STEP_MS: u64 = 100;
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it.producer().start()?;
    let mut bodies = wait_settled(&mut producer, &consumer, &topic)?;
    let deliver_at = now_ms() + 4000;
    let option = [("deliver-at", &*deliver_at.to_string())];
    bodies.extend(producer.send(&topic, "m", 20, &option)?);
    ensure!(now_ms() < deliver_at, "sending took longer than the delay");
    wait_exactly_once(&[&consumer], &bodies)?;
    in_time(&consumer, |_| Some(deliver_at - STEP_MS))?;
    it.stop([producer, consumer])
}

/// The header serialization ROCKETMQ, for everything that a producer and both kinds of push
/// consumer send.
fn binary_headers(it: &Scenario<'_>) -> Result<()> {
    const BINARY: &str = "-Drocketmq.serialize.type=ROCKETMQ";
    let topic = it.topic()?;
    let concurrent = it.push_consumer(&topic).flag(BINARY).start()?;
    let group = it.name("orderly");
    let orderly = it
        .push_consumer(&topic)
        .option("group", group)
        .option("orderly", true)
        .flag(BINARY)
        .start()?;
    let mut producer = it.producer().flag(BINARY).start()?;
    let mut bodies = producer.send(&topic, "sync", 30, &[])?;
    bodies.extend(producer.send(&topic, "async", 30, &[("mode", "async")])?);
    bodies.extend(producer.send(&topic, "oneway", 30, &[("mode", "oneway")])?);
    bodies.extend(producer.send(&topic, "batch", 30, &[("mode", "batch")])?);
    wait_exactly_once(&[&concurrent], &bodies)?;
    wait_exactly_once(&[&orderly], &bodies)?;
    in_queue_order(&orderly.received())?;
    it.stop([producer, concurrent, orderly])
}

fn reaches_both_brokers(received: &[Received]) -> Result<()> {
    let brokers: BTreeSet<_> = received
        .iter()
        .filter_map(|message| message.queue.split(':').next())
        .collect();
    ensure!(brokers.len() == 2, "messages came from {brokers:?} only");
    Ok(())
}

fn each_shard_in_one_queue(consumer: &JavaClient, shards: usize) -> Result<()> {
    let received = consumer.received();
    in_queue_order(&received)?;
    let mut queues: BTreeMap<Option<&str>, BTreeSet<&str>> = BTreeMap::new();
    for message in &received {
        queues
            .entry(message.shard.as_deref())
            .or_default()
            .insert(&message.queue);
    }
    ensure!(
        queues.len() == shards && queues.values().all(|queues| queues.len() == 1),
        "queues by shard: {queues:?}"
    );
    Ok(())
}

/// Sends a message to every queue and waits until all have arrived, so that later messages are not
/// late for the consumer's own reason: its first change of queues may meet a heartbeat that is
/// under way. The change is then not sent to the brokers, and they refuse its pulls (code 25) until
/// the next heartbeat, for up to half a minute. All versions do that, directly as well.
fn wait_settled(
    producer: &mut JavaClient,
    consumer: &JavaClient,
    topic: &str,
) -> Result<Vec<String>> {
    let bodies = producer.send(topic, SETTLING, 2 * QUEUES_PER_BROKER, &[])?;
    wait_exactly_once(&[consumer], &bodies)?;
    Ok(bodies)
}

/// Whether every message arrived when it was due: not before, and not much later.
fn in_time(consumer: &JavaClient, due: impl Fn(&str) -> Option<u64>) -> Result<()> {
    let received = consumer.received().into_iter();
    for message in received.filter(|message| !message.body.starts_with(SETTLING)) {
        let due =
            due(&message.body).with_context(|| format!("no producer sent {}", message.body))?;
        ensure!(
            message.at >= due,
            "{} came {} ms early",
            message.body,
            due - message.at
        );
        ensure!(
            message.at <= due + LATE_LIMIT_MS,
            "{} came {} ms late",
            message.body,
            message.at - due
        );
    }
    Ok(())
}
