//! Half messages: committed, rolled back, and asked about.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{delivery::exactly_once, java_client::JavaClient, rocketmq::MessageType};

use crate::case::{Case, Feature, fails_with};

pub(crate) const FEATURES: &[Feature] = &[
    ("transaction_checked", transaction_checked),
    ("transaction_ends_at_once", transaction_ends_at_once),
    ("transaction_refused", transaction_refused),
];

/// Enough for both brokers.
const COUNT: usize = 6;
/// For how long a broker does not ask: the least that the protocol has.
const CHECK_S: &str = "10";

fn begin(producer: &mut JavaClient, topic: &str, name: &str, verdict: &str) -> Result<Vec<String>> {
    let options = [
        ("mode", "transaction"),
        ("check-s", CHECK_S),
        ("verdict", verdict),
    ];
    producer.send(topic, name, COUNT, &options)
}

/// Those that are committed arrive, and a broker asks about none.
fn transaction_ends_at_once(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Transaction)?, case.group()?);
    let mut producer = case.producer().start()?;
    let committed = begin(&mut producer, &topic, "committed", "commit")?;
    begin(&mut producer, &topic, "rolled-back", "rollback")?;
    let mut consumer = case.consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, committed.len())?;
    exactly_once(&received, &committed)?;
    // By then a broker would have asked about one without an end.
    thread::sleep(Duration::from_secs(20));
    let options = [
        ("topic", &*topic),
        ("limit-ms", "8000"),
        ("wait-s", "3"),
        ("verdict", "unknown"),
    ];
    producer.run("checks", &options)?;
    // A broker that looks for transactions to ask about while one is being ended may have moved the
    // half message by then, and asks about it later. Here brokers look every 3 s.
    let checked = producer.checked();
    ensure!(
        checked.len() < COUNT / 2,
        "asked about what had ended: {checked:?}"
    );
    case.nothing_more(&mut consumer)?;
    case.it.stop([producer, consumer])
}

/// Those without an end are half messages to consume, and are ended by their handles.
fn transaction_checked(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Transaction)?, case.group()?);
    let mut producer = case.producer().start()?;
    let committed = begin(&mut producer, &topic, "committed", "unknown")?;
    let ids: Vec<_> = producer
        .sent()
        .into_iter()
        .filter_map(|sent| sent.id)
        .collect();
    case.checks(&mut producer, &topic, &committed, "commit")?;
    for checked in producer.checked() {
        let id = checked.id.context("an id")?;
        ensure!(ids.contains(&id), "{id} was not published: {ids:?}");
    }
    let rolled_back = begin(&mut producer, &topic, "rolled-back", "unknown")?;
    case.checks(&mut producer, &topic, &rolled_back, "rollback")?;
    let mut consumer = case.consumer(&topic, &group).start()?;
    let received = case.receive_and_ack(&mut consumer, committed.len())?;
    exactly_once(&received, &committed)?;
    case.nothing_more(&mut consumer)?;
    case.it.stop([producer, consumer])
}

/// A handle that was made up, one of a message of another topic, and one that is late.
fn transaction_refused(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Transaction)?, case.group()?);
    let mut producer = case.producer().start()?;
    let bodies = begin(&mut producer, &topic, "late", "unknown")?;
    let mut end = |verdict: &str, given: (&str, &str)| {
        producer.run("end", &[("topic", &topic), ("verdict", verdict), given])
    };
    for verdict in ["commit", "rollback"] {
        fails_with(end(verdict, ("handle", "forged")), "ReceiptHandleError")?;
        fails_with(
            end(verdict, ("handle", "R1tAAAAAAAAAAAA")),
            "ReceiptHandleError",
        )?;
    }
    thread::sleep(Duration::from_secs(12));
    let names = bodies.join(",");
    fails_with(end("commit", ("names", &names)), "MessageNotExist")?;
    // Nothing of it has arrived; asked about, they end.
    let mut consumer = case.consumer(&topic, &group).start()?;
    case.nothing_more(&mut consumer)?;
    case.checks(&mut producer, &topic, &bodies, "commit")?;
    let received = case.receive_and_ack(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    case.it.stop([producer, consumer])
}
