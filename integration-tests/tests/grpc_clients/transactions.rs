//! Transactions: they end when their producer ends them, or when it was asked.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{DELIVERY_LIMIT, exactly_once},
    java_client::JavaClient,
    rocketmq::MessageType,
    wait::wait_until,
};

use crate::case::{Case, Feature};

pub(crate) const FEATURES: &[Feature] = &[
    ("transaction_checked", transaction_checked),
    (
        "transaction_checked_and_rolled_back",
        transaction_checked_and_rolled_back,
    ),
    ("transaction_ends_at_once", transaction_ends_at_once),
];

/// Enough for both brokers.
const COUNT: usize = 8;
/// By then a broker would have asked about a transaction without an end.
const CHECK_TIME: Duration = Duration::from_secs(20);

fn transaction_ends_at_once(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.narrow_topic(MessageType::Transaction)?, case.group()?);
    let mut consumer = case.witness(&topic, &group)?;
    // Were an end lost, the broker's question would not make up for it.
    let producer = case.producer(&topic).option("check", "unknown");
    let mut producer = producer.start()?;
    let committed = begin(&mut producer, &topic, "committed", "commit")?;
    begin(&mut producer, &topic, "rolled-back", "rollback")?;
    case.wait_witnessed(&mut consumer, &committed)?;
    let received = case.witnessed_after(&mut consumer, CHECK_TIME)?;
    exactly_once(&received, &committed)?;
    let checked = producer.checked();
    ensure!(
        checked.is_empty(),
        "asked about what had ended: {checked:?}"
    );
    case.it.stop([producer, consumer])
}

/// A producer that leaves a transaction without an end is asked, and its answer counts.
fn transaction_checked(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.narrow_topic(MessageType::Transaction)?, case.group()?);
    let mut consumer = case.witness(&topic, &group)?;
    let mut producer = case.producer(&topic).option("check", "commit").start()?;
    let bodies = begin(&mut producer, &topic, "m", "unknown")?;
    wait_checked(&producer, &bodies)?;
    case.wait_witnessed(&mut consumer, &bodies)?;
    let received = case.witnessed_after(&mut consumer, CHECK_TIME)?;
    exactly_once(&received, &bodies)?;
    let asked = producer.checked().len();
    ensure!(
        asked == COUNT,
        "asked {asked} times about {COUNT} transactions"
    );
    case.it.stop([producer, consumer])
}

fn transaction_checked_and_rolled_back(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.narrow_topic(MessageType::Transaction)?, case.group()?);
    let mut consumer = case.witness(&topic, &group)?;
    let producer = case.producer(&topic).option("check", "rollback");
    let mut producer = producer.start()?;
    let bodies = begin(&mut producer, &topic, "m", "unknown")?;
    wait_checked(&producer, &bodies)?;
    let received = case.witnessed_after(&mut consumer, CHECK_TIME)?;
    exactly_once(&received, &[])?;
    let asked = producer.checked().len();
    ensure!(
        asked == COUNT,
        "asked {asked} times about {COUNT} transactions"
    );
    case.it.stop([producer, consumer])
}

/// Sends messages in transactions that end like this, or, with `unknown`, do not end.
fn begin(producer: &mut JavaClient, topic: &str, name: &str, verdict: &str) -> Result<Vec<String>> {
    let mode = [("mode", "transaction"), ("verdict", verdict)];
    producer.send(topic, name, COUNT, &mode)
}

fn wait_checked(producer: &JavaClient, bodies: &[String]) -> Result<()> {
    let missing = || -> Vec<&String> {
        let checked = producer.checked();
        let asked = |body: &&String| checked.iter().any(|checked| checked.body == **body);
        bodies.iter().filter(|body| !asked(body)).collect()
    };
    wait_until("the brokers to ask", 2 * DELIVERY_LIMIT, || {
        Ok(missing().is_empty().then_some(()))
    })
    .map_err(|e| e.context(format!("not asked about: {:?}", missing())))
}
