//! What is refused, and with which code.

use anyhow::{Context, Result, ensure};
use http_api::sdk::handle;
use integration_tests::{
    delivery::exactly_once, java_client::JavaClient, rocketmq::MessageType, wait::now_ms,
};
use remoting_codec::message::{Receipt, TopicMark};

use crate::case::{Case, Feature};

pub(crate) const FEATURES: &[Feature] = &[
    ("handles", handles),
    ("unknown_topic", unknown_topic),
    ("too_large", too_large),
    ("wrong_type", wrong_type),
];

/// For how long messages are hidden that were consumed.
const HIDDEN_MS: u64 = 300_000;

/// In one request, those that are right are acknowledged; each of the others has its own error.
fn handles(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let mut producer = case.producer().start()?;
    let bodies = producer.send(&topic, "m", 6, &[])?;
    let mut consumer = case.consumer(&topic, &group).start()?;
    let received = case.receive(&mut consumer, bodies.len())?;
    exactly_once(&received, &bodies)?;
    for message in &received {
        let next = message.next_consumed_at.context("a time")?;
        let hidden = next.saturating_sub(message.at);
        let allowed = HIDDEN_MS - 15_000..=HIDDEN_MS + 1_000;
        ensure!(
            allowed.contains(&hidden),
            "hidden for {hidden} ms: {message:?}"
        );
        let first = message.first_consumed_at.context("a time")?;
        ensure!(first + HIDDEN_MS <= next + 1_000, "{message:?}");
        let published = message.published_at.context("a time")?;
        ensure!(
            published <= first && published + 60_000 > first,
            "{message:?}"
        );
    }
    let late = |topic: &str, group: &str| {
        let receipt = Receipt {
            start_offset: 0,
            // The clock of a broker that a replica does not know yet may be wrong by a minute.
            pop_time: now_ms() as i64 - 400_000,
            invisible_time: 300_000,
            revive_queue: 0,
            mark: TopicMark::Normal,
            broker: "broker-a",
            queue_id: 0,
            queue_offset: Some(0),
            commit_log_offset: None,
        };
        handle::of_message(&receipt, topic, group)
    };
    let (expired, others) = (late(&topic, &group), late(&topic, "other"));
    let bad = ["forged", &*expired, &*others];
    let (first, rest) = bodies.split_at(3);
    let refused = case.ack(&mut consumer, first, &bad)?;
    let wanted = [
        ("forged", "ReceiptHandleError"),
        (&*expired, "MessageNotExist"),
        (&*others, "ReceiptHandleError"),
    ];
    ensure!(
        refused.len() == wanted.len()
            && wanted
                .iter()
                .all(|(handle, code)| refused.get(*handle).is_some_and(|is| is == code)),
        "refused: {refused:?}"
    );
    let refused = case.ack(&mut consumer, &[], &["forged"])?;
    ensure!(refused.len() == 1, "refused: {refused:?}");
    ensure!(case.ack(&mut consumer, rest, &[])?.is_empty(), "refused");
    case.nothing_more(&mut consumer)?;
    case.it.stop([producer, consumer])
}

fn unknown_topic(case: &Case<'_>) -> Result<()> {
    let (unknown, group) = (case.it.name("unknown"), case.group()?);
    let mut producer = case.producer().start()?;
    refused(&mut producer, &unknown, &[], "TopicNotExist")?;
    let mut consumer = case.consumer(&unknown, &group).start()?;
    let polled = consumer.run("poll", &[("wait-s", "3")]);
    crate::case::fails_with(polled, "TopicNotExist")?;
    case.it.stop([producer, consumer])
}

fn too_large(case: &Case<'_>) -> Result<()> {
    let topic = case.topic(MessageType::Normal)?;
    let mut producer = case.producer().start()?;
    let size = ((4 << 20) + 1).to_string();
    refused(&mut producer, &topic, &[("size", &size)], "InvalidArgument")?;
    // The connection goes on, or another is made.
    producer.run("send", &[("topic", &*topic), ("name", "small")])?;
    let sent = producer.sent();
    ensure!(sent.len() == 1, "{sent:?}");
    case.it.stop([producer])
}

/// A topic's messages are of one type.
fn wrong_type(case: &Case<'_>) -> Result<()> {
    let topic = case.topic(MessageType::Normal)?;
    let mut producer = case.producer().start()?;
    refused(&mut producer, &topic, &[("groups", "1")], "InvalidArgument")?;
    refused(
        &mut producer,
        &topic,
        &[("delay-ms", "9000")],
        "InvalidArgument",
    )?;
    case.it.stop([producer])
}

/// That a message is refused with this code.
fn refused(
    producer: &mut JavaClient,
    topic: &str,
    more: &[(&str, &str)],
    code: &str,
) -> Result<()> {
    let before = producer.send_failures().len();
    let mut options = vec![("topic", topic), ("name", "refused")];
    options.extend(more);
    producer.run("send", &options)?;
    let failures = producer.send_failures().split_off(before);
    let is_right = |error: &str| error.starts_with(&format!("{code}: "));
    ensure!(
        failures.len() == 1 && failures.iter().all(|failure| is_right(&failure.error)),
        "not {code}: {failures:?}"
    );
    Ok(())
}
