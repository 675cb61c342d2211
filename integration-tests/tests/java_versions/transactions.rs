//! Transactions: they end when their producer ends them, or when a broker has asked a member of its
//! group.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{DELIVERY_LIMIT, exactly_once, wait_arrived, wait_exactly_once},
    java_client::JavaClient,
    scenario::Scenario,
    suite::TestFn,
    wait::wait_until,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("transaction_ends_at_once", transaction_ends_at_once),
    ("transaction_is_checked", transaction_is_checked),
    (
        "transaction_is_checked_at_a_live_member",
        transaction_is_checked_at_a_live_member,
    ),
];

/// How long a committed message may take: much less than the six seconds after which a broker asks.
const AT_ONCE_MS: u64 = 2000;
/// After this a broker would have asked: when the transaction is six seconds old, by a look every
/// three.
const CHECK_TIME: Duration = Duration::from_secs(10);

fn transaction_ends_at_once(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    // Were an end lost, the broker's question would not make up for it.
    let mut producer = it.transaction_producer("unknown").start()?;
    // A consumer may need half a minute for its start, which is not the transaction's fault.
    let mut committed = begin(&mut producer, &topic, "first", "commit")?;
    wait_arrived(&[&consumer], &committed)?;
    for round in ["1", "2", "3"] {
        committed.extend(begin(
            &mut producer,
            &topic,
            &format!("commit{round}"),
            "commit",
        )?);
        begin(
            &mut producer,
            &topic,
            &format!("rollback{round}"),
            "rollback",
        )?;
    }
    wait_arrived(&[&consumer], &committed)?;
    let sent = producer.sent();
    let received = consumer.received();
    let measured = received
        .iter()
        .filter(|message| !message.body.starts_with("first"));
    for message in measured {
        let begun = sent
            .iter()
            .find(|sent| sent.body == message.body)
            .context("arrived before it was sent")?;
        let took = message.at.saturating_sub(begun.at);
        ensure!(took <= AT_ONCE_MS, "{} took {took} ms", message.body);
    }
    thread::sleep(CHECK_TIME);
    exactly_once(&consumer.received(), &committed)?;
    let checked = producer.checked();
    ensure!(
        checked.is_empty(),
        "asked about what had ended: {checked:?}"
    );
    it.stop([producer, consumer])
}

fn transaction_is_checked(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut commits = it.transaction_producer("commit").start()?;
    let mut rolls_back = it
        .transaction_producer("rollback")
        .option("group", it.name("other-producers"))
        .start()?;
    let committed = begin(&mut commits, &topic, "commit", "unknown")?;
    let rolled_back = begin(&mut rolls_back, &topic, "rollback", "unknown")?;
    wait_checked(&commits, &committed)?;
    wait_checked(&rolls_back, &rolled_back)?;
    wait_exactly_once(&[&consumer], &committed)?;
    thread::sleep(CHECK_TIME);
    exactly_once(&consumer.received(), &committed)?;
    let asked = commits.checked().len() + rolls_back.checked().len();
    let all = committed.len() + rolled_back.len();
    ensure!(asked == all, "asked {asked} times about {all} transactions");
    it.stop([commits, rolls_back, consumer])
}

fn transaction_is_checked_at_a_live_member(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut first = it.transaction_producer("commit").start()?;
    let mut second = it.transaction_producer("commit").start()?;
    // A producer that has sent nothing knows no broker, and no broker knows it.
    let mut bodies = begin(&mut second, &topic, "second", "commit")?;
    let orphans = begin(&mut first, &topic, "first", "unknown")?;
    it.kill(first)?;
    wait_checked(&second, &orphans)?;
    bodies.extend(orphans);
    wait_exactly_once(&[&consumer], &bodies)?;
    it.stop([second, consumer])
}

/// Sends messages in transactions that have this verdict from the start.
fn begin(producer: &mut JavaClient, topic: &str, name: &str, verdict: &str) -> Result<Vec<String>> {
    // Enough for both brokers.
    const COUNT: usize = 10;
    let mode = [("mode", "transaction"), ("verdict", verdict)];
    producer.send(topic, name, COUNT, &mode)
}

fn wait_checked(producer: &JavaClient, bodies: &[String]) -> Result<()> {
    let missing = || -> Vec<&String> {
        let checked = producer.checked();
        let asked = |body: &&String| checked.iter().any(|checked| checked.body == **body);
        bodies.iter().filter(|body| !asked(body)).collect()
    };
    wait_until("the brokers to ask", DELIVERY_LIMIT, || {
        Ok(missing().is_empty().then_some(()))
    })
    .map_err(|e| e.context(format!("not asked about: {:?}", missing())))
}
