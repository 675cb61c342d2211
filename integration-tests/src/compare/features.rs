//! Features that every client has, whatever its language.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{Feature, Run};
use crate::{
    delivery::{DELIVERY_LIMIT, wait_arrived, wait_exactly_once},
    java_client::JavaClient,
    wait::wait_until,
};

/// What every client can do.
pub const SHARED: &[Feature] = &[
    Feature::new("send_sync", |it| send_in_mode(it, "sync")),
    Feature::new("send_oneway", |it| send_in_mode(it, "oneway")),
    Feature::new("send_delayed", send_delayed),
    Feature::new("send_compressed", send_compressed),
    Feature::new("send_to_new_topic", send_to_new_topic),
    Feature::new("push_clustering", push_clustering),
    Feature::new("push_broadcasting", push_broadcasting),
    Feature::new("push_orderly", |it| send_orderly(it, "orderly")),
    Feature::new("push_tag_filter", push_tag_filter),
    Feature::new("push_resumes", push_resumes),
];

/// By when clients have committed what they have consumed. Go does it 10 s after it has started and
/// then every 5 s (`internal/client.go`), C++ every 5 s. What they commit as they end is one-way
/// and right before they close the connection, with answers unread: the broker loses some of it,
/// directly as well.
pub const OFFSET_COMMIT_WAIT: Duration = Duration::from_secs(11);

/// How much later than due a delayed message may come on a busy machine.
const LATE_LIMIT_MS: u64 = 10_000;

/// Sends in one of the ways of the client's command `send`, with a consumer that waits.
///
/// # Errors
/// When not everything arrives once, from both brokers.
pub fn send_in_mode(it: &Run<'_>, mode: &str) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 60, &[("mode", mode)])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    from_both_brokers(&consumer)?;
    it.stop([producer, consumer])
}

/// Clients that send round robin reach both brokers.
fn from_both_brokers(consumer: &JavaClient) -> Result<()> {
    let received = consumer.received();
    let brokers: BTreeSet<&str> = received
        .iter()
        .filter_map(|message| Some(message.queue.split_once(':')?.0))
        .collect();
    let places: BTreeSet<(&str, i64)> = received
        .iter()
        .map(|message| (message.queue.as_str(), message.offset))
        .collect();
    // Where a client does not return the broker of a send, two messages are in one place when they
    // are on two brokers.
    let both = brokers.len() == 2 || places.len() < received.len();
    ensure!(both, "messages came from {brokers:?} only");
    Ok(())
}

fn send_delayed(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it.producer().start()?;
    // The brokers' first levels are one second and five.
    let mut bodies = producer.send(&topic, "five", 10, &[("delay-level", "2")])?;
    bodies.extend(producer.send(&topic, "one", 10, &[("delay-level", "1")])?);
    wait_exactly_once(&[&consumer], &bodies)?;
    let begun: BTreeMap<String, u64> = producer
        .sent()
        .into_iter()
        .map(|sent| (sent.body, sent.started_at))
        .collect();
    for message in consumer.received() {
        let begun = begun.get(&message.body).context("no producer sent it")?;
        let due = begun
            + if message.body.starts_with("five") {
                5000
            } else {
                1000
            };
        ensure!(
            (due..=due + LATE_LIMIT_MS).contains(&message.at),
            "{} came at {}, due was {due}",
            message.body,
            message.at
        );
    }
    it.stop([producer, consumer])
}

/// Clients compress bodies over 4 KiB, and receivers get them uncompressed.
fn send_compressed(it: &Run<'_>) -> Result<()> {
    const SIZE: usize = 20_000;
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 30, &[("size", &SIZE.to_string())])?;
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

/// A topic that does not exist is made by the broker that the first message reaches.
fn send_to_new_topic(it: &Run<'_>) -> Result<()> {
    let topic = it.name("topic");
    let known = it.cluster().queues(&topic)?;
    ensure!(known.is_empty(), "the topic exists already: {known:?}");
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 20, &[])?;
    wait_until("a broker to have the topic", DELIVERY_LIMIT, || {
        Ok((!it.cluster().queues(&topic)?.is_empty()).then_some(()))
    })?;
    let consumer = it.push_consumer(&topic).start()?;
    // Clients look for queues on brokers that have come later only now and then.
    let first: Vec<String> = bodies.into_iter().take(1).collect();
    wait_arrived(&[&consumer], &first)?;
    it.fact(format!("sent {}", producer.sent().len()));
    it.stop_unasked([producer, consumer])
}

/// Two members share the messages.
fn push_clustering(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let member = it.push_consumer(&topic);
    let members = [member.clone().start()?, member.start()?];
    let both: Vec<&JavaClient> = members.iter().collect();
    let mut producer = it.producer().start()?;
    // Until each member has its share; which member gets what is chance.
    let mut round = 0;
    let mut bodies = Vec::new();
    wait_until("both members to get messages", DELIVERY_LIMIT, || {
        round += 1;
        bodies.extend(producer.send(&topic, &format!("round-{round}"), 16, &[])?);
        wait_arrived(&both, &bodies)?;
        let shared = both.iter().all(|member| !member.received().is_empty());
        Ok(shared.then_some(()))
    })?;
    let before: Vec<usize> = both.iter().map(|member| member.received().len()).collect();
    let last = producer.send(&topic, "last", 48, &[])?;
    wait_arrived(&both, &last)?;
    for (member, before) in both.iter().zip(before) {
        ensure!(member.received().len() > before, "one member got nothing");
    }
    it.fact(format!("shared {}", last.len()));
    it.stop_unasked(members.into_iter().chain([producer]))
}

/// Every member gets everything.
fn push_broadcasting(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let member = it.push_consumer(&topic).option("broadcasting", true);
    let members = [member.clone().start()?, member.start()?];
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 40, &[])?;
    for member in &members {
        wait_exactly_once(&[member], &bodies)?;
    }
    it.stop(members.into_iter().chain([producer]))
}

/// What was sent to one queue, which the client chooses by the message's shard, arrives there, and
/// in that order.
///
/// # Errors
/// When it does not.
pub fn send_orderly(it: &Run<'_>, mode: &str) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).option("orderly", true).start()?;
    let mut producer = it.producer().option("selector", "hash").start()?;
    let bodies = producer.send(&topic, "m", 60, &[("mode", mode), ("shards", "5")])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    let mut shards: BTreeMap<Option<String>, (BTreeSet<String>, Vec<u32>)> = BTreeMap::new();
    for message in consumer.received() {
        let number = message.body.trim_start_matches("m-").parse()?;
        let (queues, numbers) = shards.entry(message.shard).or_default();
        queues.insert(message.queue);
        numbers.push(number);
    }
    // Requests without an answer may overtake others on their way through a broker.
    let in_order = |numbers: &[u32]| mode == "oneway-orderly" || numbers.is_sorted();
    let mut each = shards.values();
    ensure!(
        shards.len() == 5 && each.all(|(queues, numbers)| queues.len() == 1 && in_order(numbers)),
        "queues and messages by shard: {shards:?}"
    );
    it.stop([producer, consumer])
}

fn push_tag_filter(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .option("tags", "red || blue")
        .start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 60, &[("tags", "red,green,blue")])?;
    let wanted: Vec<String> = bodies
        .into_iter()
        .enumerate()
        .filter(|(i, _)| i % 3 != 1)
        .map(|(_, body)| body)
        .collect();
    wait_exactly_once(&[&consumer], &wanted)?;
    it.stop([producer, consumer])
}

/// A consumer that connects later continues where the one before it has stopped.
fn push_resumes(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let first = producer.send(&topic, "first", 40, &[])?;
    let consumer = it.push_consumer(&topic).start()?;
    wait_exactly_once(&[&consumer], &first)?;
    it.cluster().begin_commits(&it.name("consumers"), &topic)?;
    thread::sleep(OFFSET_COMMIT_WAIT);
    it.stop([consumer])?;
    let second = producer.send(&topic, "second", 40, &[])?;
    let consumer = it.push_consumer(&topic).start()?;
    wait_exactly_once(&[&consumer], &second)?;
    it.stop([producer, consumer])
}
