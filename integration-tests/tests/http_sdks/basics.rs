//! Publishing, consuming and acknowledging.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use http_api::sdk::digest::Digest;
use integration_tests::{
    delivery::{exactly_once, wait_exactly_once},
    rocketmq::{Group, MessageType},
    wait::now_ms,
};

use crate::case::{Case, Feature, one};

pub(crate) const FEATURES: &[Feature] = &[
    ("publish_consume", publish_consume),
    ("properties", properties),
    ("markup", markup),
    ("largest", largest),
    ("tag_filter", tag_filter),
    ("delay", delay),
    ("empty_poll", empty_poll),
    ("long_poll", long_poll),
    ("instances", instances),
    ("from_remoting", from_remoting),
    ("to_remoting", to_remoting),
];

fn publish_consume(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer().start()?;
    let bodies = producer.send(&topic, "m", 40, &[])?;
    let mut consumer = case.consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    for sent in producer.sent() {
        let message = one(&received, &sent.body)?;
        ensure!(
            sent.id.as_deref() == Some(&*message.id),
            "id of {message:?}"
        );
        let digest = Digest::of(sent.body.as_bytes()).to_hex();
        ensure!(sent.digest == Some(digest.clone()), "digest of {sent:?}");
        ensure!(message.digest == Some(digest), "digest of {message:?}");
        ensure!(message.reconsume_times == 0, "attempt of {message:?}");
    }
    case.nothing_more(&mut consumer)?;
    case.it.stop([producer, consumer])
}

fn properties(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer().start()?;
    let options = [
        ("tags", "TagA,TagB"),
        ("keys", "true"),
        ("numbered", "true"),
    ];
    let bodies = producer.send(&topic, "m", 8, &options)?;
    let mut consumer = case.consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    for (number, body) in bodies.iter().enumerate() {
        let message = one(&received, body)?;
        let tag = ["TagA", "TagB"].get(number % 2).copied();
        ensure!(message.tag.as_deref() == tag, "tag of {message:?}");
        let keys = [format!("{body}-key"), format!("{body}-other")];
        ensure!(message.keys == keys, "keys of {message:?}");
        let own = BTreeMap::from([("number".to_owned(), number.to_string())]);
        ensure!(message.properties == own, "properties of {message:?}");
    }
    case.it.stop([producer, consumer])
}

/// Characters that XML writes in another way: the program compares them.
fn markup(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer().start()?;
    let bodies = producer.send(&topic, "m", 4, &[("markup", "true")])?;
    let mut consumer = case.consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    ensure!(
        received.iter().all(|message| message.size == 47),
        "{received:?}"
    );
    case.it.stop([producer, consumer])
}

/// The largest body that is accepted.
fn largest(case: &Case<'_>) -> Result<()> {
    const SIZE: usize = 4 << 20;
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer().start()?;
    let bodies = producer.send(&topic, "m", 2, &[("size", &SIZE.to_string())])?;
    let mut consumer = case.consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    ensure!(received.iter().all(|message| message.size == SIZE), "sizes");
    case.it.stop([producer, consumer])
}

fn tag_filter(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer().start()?;
    let bodies = producer.send(&topic, "m", 12, &[("tags", "TagA,TagB,TagC")])?;
    let consumer = case.consumer(&topic, &group).option("tags", "TagA||TagB");
    let mut consumer = consumer.start()?;
    let wanted = bodies.into_iter().enumerate();
    let wanted = wanted.filter(|(number, _)| number % 3 < 2);
    let wanted: Vec<String> = wanted.map(|(_, body)| body).collect();
    let received = case.receive_and_ack(&mut consumer, wanted.len())?;
    exactly_once(&received, &wanted)?;
    case.nothing_more(&mut consumer)?;
    case.it.stop([producer, consumer])
}

fn delay(case: &Case<'_>) -> Result<()> {
    const DELAY_MS: u64 = 4_000;
    let (topic, group) = (case.topic(MessageType::Delay)?, case.group()?);
    let mut producer = case.producer().start()?;
    let options = [("delay-ms", &*DELAY_MS.to_string())];
    let bodies = producer.send(&topic, "m", 8, &options)?;
    let mut consumer = case.consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    for sent in producer.sent() {
        let message = one(&received, &sent.body)?;
        let took = message.at.saturating_sub(sent.started_at);
        // The broker's timer is exact to 100 ms; on a busy machine it may be late.
        let allowed = DELAY_MS - 100..DELAY_MS + 15_000;
        ensure!(
            allowed.contains(&took),
            "arrived after {took} ms: {message:?}"
        );
    }
    case.it.stop([producer, consumer])
}

/// Where nothing is, consuming takes as long as the client has asked for, and is no error.
fn empty_poll(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut consumer = case.consumer(&topic, &group).start()?;
    let polled = case.poll(&mut consumer, 5)?;
    ensure!(polled.count == 0, "{polled:?}");
    ensure!((4_500..9_000).contains(&polled.took_ms), "{polled:?}");
    let polled = case.poll(&mut consumer, 0)?;
    ensure!(polled.count == 0 && polled.took_ms < 4_000, "{polled:?}");
    case.it.stop([consumer])
}

/// A message that is sent while a consumer waits arrives at once.
fn long_poll(case: &Case<'_>) -> Result<()> {
    const WAIT_S: &str = "25";
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer().start()?;
    let mut consumer = case.consumer(&topic, &group).start()?;
    // So that the group is there, and the connection.
    case.poll(&mut consumer, 1)?;
    let options = [("count", "1"), ("wait-s", WAIT_S), ("ack", "true")];
    let waiting = consumer.begin("receive", &options)?;
    thread::sleep(Duration::from_secs(2));
    let sent = now_ms();
    let bodies = producer.send(&topic, "m", 1, &[])?;
    consumer.end(waiting)?;
    let received = consumer.received();
    exactly_once(&received, &bodies)?;
    let took = one(&received, &bodies.concat())?.at.saturating_sub(sent);
    ensure!(took < 5_000, "arrived after {took} ms");
    case.it.stop([producer, consumer])
}

/// Topics and groups of an instance are those of a namespace.
fn instances(case: &Case<'_>) -> Result<()> {
    const INSTANCE: &str = "MQ_INST_1";
    let (topic, group) = (case.it.name("topic"), case.it.name("group"));
    for instance in ["", "MQ_INST_1%"] {
        let (topic, group) = (format!("{instance}{topic}"), format!("{instance}{group}"));
        let cluster = case.it.cluster();
        cluster.create_typed_topic(&topic, MessageType::Normal, 1)?;
        cluster.create_group(Group::new(&group))?;
    }
    let mut producer = case.producer().option("namespace", INSTANCE).start()?;
    let bodies = producer.send(&topic, "within", 4, &[])?;
    let consumer = case.consumer(&topic, &group).option("namespace", INSTANCE);
    let mut consumer = consumer.start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    let mut outside = case.consumer(&topic, &group).start()?;
    case.nothing_more(&mut outside)?;
    case.nothing_more(&mut consumer)?;
    case.it.stop([producer, consumer, outside])
}

/// What a remoting client has sent, a compressed body too.
fn from_remoting(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let producer = case.it.client("producer").classic();
    let mut producer = producer.option("group", case.it.name("classic")).start()?;
    let mut bodies = producer.send(&topic, "small", 4, &[("tags", "TagA")])?;
    bodies.extend(producer.send(&topic, "large", 4, &[("size", "8192")])?);
    let mut consumer = case.consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    let small = one(&received, bodies.first().context("sent")?)?;
    ensure!(small.tag.as_deref() == Some("TagA"), "tag of {small:?}");
    case.it.stop([producer, consumer])
}

/// What an SDK has published, a remoting client gets.
fn to_remoting(case: &Case<'_>) -> Result<()> {
    let topic = case.topic(MessageType::Normal)?;
    let consumer = case.it.client("push-consumer").classic();
    let consumer = consumer.option("group", case.it.name("classic"));
    let consumer = consumer.option("topic", &topic).start()?;
    let mut producer = case.producer().start()?;
    let bodies = producer.send(&topic, "m", 8, &[("tags", "TagA"), ("size", "8192")])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    let received = consumer.received();
    let tags = received.iter().map(|message| message.tag.as_deref());
    ensure!(
        tags.into_iter().all(|tag| tag == Some("TagA")),
        "{received:?}"
    );
    let ids: Vec<_> = producer
        .sent()
        .into_iter()
        .filter_map(|sent| sent.id)
        .collect();
    ensure!(
        received.iter().all(|message| ids.contains(&message.id)),
        "ids {ids:?} of {received:?}"
    );
    case.it.stop([producer, consumer])
}
