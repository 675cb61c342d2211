//! Lite pull consumers, which steer their offsets themselves, and the questions about offsets that
//! any client may ask.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::exactly_once, java_client::JavaClient, scenario::Scenario, suite::TestFn,
    wait::now_ms,
};
use serde::Deserialize;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("lite_pull_subscribe_resumes", lite_pull_subscribe_resumes),
    ("lite_pull_assign_seek_commit", lite_pull_assign_seek_commit),
    ("queue_offsets", queue_offsets),
];

/// By when a client has sent its committed offsets, which it does every 5 s, the first time 10 s
/// after its start. It does so when it stops, too, but then closes its connections on answers that
/// it has not read: a balancer that sees such an end drops the bytes that are still on their way.
const COMMITTED: Duration = Duration::from_secs(12);

/// A subscribed lite consumer first looks for its queues 20 s after its start.
const SUBSCRIBED_LIMIT_MS: &str = "50000";
const POLL_LIMIT_MS: &str = "20000";

fn lite_pull_assign_seek_commit(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 40, &[])?;

    let mut consumer = it.lite_pull_consumer(&topic).start()?;
    exactly_once(&poll(&mut consumer, 40)?, &bodies)?;
    consumer.run("seek-to-begin", &[])?;
    exactly_once(&poll(&mut consumer, 40)?, &bodies)?;

    let last_of_queue = producer.sent().pop().context("nothing was sent")?;
    let queue = last_of_queue
        .queue
        .context("a synchronous send returns the queue")?;
    let offset = max_offset(&mut producer, &topic, &queue)? - 1;
    consumer.run(
        "seek",
        &[("queue", &queue), ("offset", &offset.to_string())],
    )?;
    exactly_once(&poll(&mut consumer, 1)?, &[last_of_queue.body])?;

    consumer.run("seek-to-end", &[])?;
    let more = producer.send(&topic, "more", 16, &[])?;
    exactly_once(&poll(&mut consumer, 16)?, &more)?;
    it.cluster().begin_commits(&it.name("pullers"), &topic)?;
    consumer.run("commit", &[])?;
    thread::sleep(COMMITTED);
    it.stop([consumer])?;

    let rest = producer.send(&topic, "rest", 16, &[])?;
    let mut successor = it.lite_pull_consumer(&topic).start()?;
    exactly_once(&poll(&mut successor, 16)?, &rest)?;
    it.stop([producer, successor])
}

fn lite_pull_subscribe_resumes(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let first = producer.send(&topic, "first", 40, &[])?;
    let subscriber = it.lite_pull_consumer(&topic).option("subscribe", true);
    let mut consumer = subscriber.clone().start()?;
    exactly_once(
        &poll_within(&mut consumer, 40, SUBSCRIBED_LIMIT_MS)?,
        &first,
    )?;
    it.cluster().begin_commits(&it.name("pullers"), &topic)?;
    consumer.run("commit", &[])?;
    it.stop([consumer])?;

    let second = producer.send(&topic, "second", 40, &[])?;
    // What the broker keeps for the group is what the predecessor has committed.
    let mut successor = subscriber.start()?;
    let committed: BTreeMap<String, i64> =
        serde_json::from_value(successor.run("committed", &[])?)?;
    ensure!(
        committed.values().sum::<i64>() == 40,
        "committed: {committed:?}"
    );
    exactly_once(
        &poll_within(&mut successor, 40, SUBSCRIBED_LIMIT_MS)?,
        &second,
    )?;
    it.stop([producer, successor])
}

fn queue_offsets(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let begin = now_ms();
    producer.send(&topic, "before", 24, &[])?;
    // The clock of client and brokers is the same; a message of one millisecond is not one of the
    // next.
    let middle = now_ms() + 1;
    while now_ms() <= middle {}
    producer.send(&topic, "after", 24, &[])?;

    let offsets = offsets(&mut producer, &topic, middle)?;
    let queues: Vec<&str> = offsets.keys().map(String::as_str).collect();
    ensure!(queues == it.cluster().queues(&topic)?, "queues: {queues:?}");
    for (queue, offsets) in &offsets {
        let sent: Vec<_> = producer
            .sent()
            .into_iter()
            .filter(|sent| sent.queue.as_ref() == Some(queue))
            .collect();
        let before = sent.iter().filter(|sent| sent.at < middle).count();
        ensure!(offsets.min == 0, "{queue}: {offsets:?}");
        ensure!(
            offsets.max == sent.len() as i64,
            "{queue}: {offsets:?}, but {} were sent",
            sent.len()
        );
        ensure!(
            offsets.search == before as i64,
            "{queue}: {offsets:?}, but {before} were sent before {middle}"
        );
        let now = now_ms() as i64;
        let earliest = offsets.earliest_store_time;
        ensure!(
            earliest >= begin as i64 && earliest <= now,
            "{queue}: {offsets:?}, test started at {begin}"
        );
    }
    it.stop([producer])
}

/// What a client can ask about a queue.
#[derive(Debug, Deserialize)]
struct QueueOffsets {
    min: i64,
    max: i64,
    /// The first message that was stored at the asked time or later.
    search: i64,
    earliest_store_time: i64,
}

fn offsets(
    producer: &mut JavaClient,
    topic: &str,
    timestamp: u64,
) -> Result<BTreeMap<String, QueueOffsets>> {
    let offsets = producer.run(
        "offsets",
        &[("topic", topic), ("timestamp", &timestamp.to_string())],
    )?;
    Ok(serde_json::from_value(offsets)?)
}

fn max_offset(producer: &mut JavaClient, topic: &str, queue: &str) -> Result<i64> {
    let offsets = offsets(producer, topic, 0)?;
    Ok(offsets
        .get(queue)
        .with_context(|| format!("no offsets of {queue}"))?
        .max)
}

fn poll(
    consumer: &mut JavaClient,
    count: usize,
) -> Result<Vec<integration_tests::java_client::Received>> {
    poll_within(consumer, count, POLL_LIMIT_MS)
}

/// Polls until this many messages have come, and returns those.
fn poll_within(
    consumer: &mut JavaClient,
    count: usize,
    limit_ms: &str,
) -> Result<Vec<integration_tests::java_client::Received>> {
    let before = consumer.received().len();
    let polled = consumer.run(
        "poll",
        &[("count", &count.to_string()), ("limit-ms", limit_ms)],
    )?;
    let received = consumer.received().split_off(before);
    ensure!(
        polled == received.len(),
        "polled {polled}, reported {}",
        received.len()
    );
    Ok(received)
}
