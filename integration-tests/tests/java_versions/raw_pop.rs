//! POP request by request: its order, its acknowledgements, and how long what was handed out stays
//! hidden.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    compare::BROKERS,
    delivery::DELIVERY_LIMIT,
    java_client::JavaClient,
    scenario::Scenario,
    suite::TestFn,
    wait::{Deadline, now_ms, wait_until},
};
use serde::Deserialize;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("raw_pop_acks", raw_pop_acks),
    ("raw_pop_order", raw_pop_order),
    ("raw_pop_change_invisible", raw_pop_change_invisible),
    ("raw_pop_waits", raw_pop_waits),
];

/// How long a message that must not arrive is waited for: longer than it would be invisible, and
/// than a broker takes to deliver it again.
const SILENCE: Duration = Duration::from_secs(12);
/// How soon an answer that waits must come after the message that it waits for.
const WAKE_LIMIT_MS: u64 = 3_000;

/// One message that was handed out.
#[derive(Clone, Debug, Deserialize)]
struct Popped {
    body: String,
    intact: bool,
    handle: String,
    /// How often it had been handed out before.
    times: u32,
}

fn parse(popped: serde_json::Value) -> Result<Vec<Popped>> {
    let popped: Vec<Popped> = serde_json::from_value(popped)?;
    for message in &popped {
        ensure!(message.intact, "arrived harmed: {message:?}");
    }
    Ok(popped)
}

fn pop(popper: &mut JavaClient, broker: &str, options: &[(&str, &str)]) -> Result<Vec<Popped>> {
    let options = [&[("broker", broker)], options].concat();
    parse(popper.run("pop", &options)?)
}

/// Pops from both brokers until this many have come; returns them by broker.
fn pop_all(
    popper: &mut JavaClient,
    count: usize,
    options: &[(&str, &str)],
) -> Result<BTreeMap<&'static str, Vec<Popped>>> {
    let mut all: BTreeMap<&str, Vec<Popped>> = BTreeMap::new();
    wait_until("the messages to be popped", DELIVERY_LIMIT, || {
        for broker in BROKERS {
            let popped = pop(popper, broker, options)?;
            all.entry(broker).or_default().extend(popped);
        }
        Ok((all.values().map(Vec::len).sum::<usize>() >= count).then_some(()))
    })
    .map_err(|e| e.context(format!("got {all:?}")))?;
    Ok(all)
}

fn ack(popper: &mut JavaClient, message: &Popped) -> Result<()> {
    let status = popper.run("ack", &[("handle", &message.handle)])?;
    ensure!(status == "OK", "acknowledged {message:?}: {status}");
    Ok(())
}

fn batch_ack(popper: &mut JavaClient, messages: &[&Popped]) -> Result<()> {
    let handles: Vec<&str> = messages.iter().map(|m| m.handle.as_str()).collect();
    let status = popper.run("batch-ack", &[("handles", &handles.join(","))])?;
    ensure!(status == "OK", "acknowledged {messages:?}: {status}");
    Ok(())
}

/// Nothing is handed out for a while.
fn silence(popper: &mut JavaClient) -> Result<()> {
    let deadline = Deadline::after(SILENCE);
    while deadline.remaining().is_some() {
        for broker in BROKERS {
            let popped = pop(popper, broker, &[])?;
            ensure!(popped.is_empty(), "handed out again: {popped:?}");
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn bodies(messages: &[Popped]) -> Vec<&str> {
    messages.iter().map(|m| m.body.as_str()).collect()
}

/// What is acknowledged, alone or with others, does not come again; all else does, once it is
/// visible.
fn raw_pop_acks(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let mut popper = it.popper(&topic).start()?;
    let sent = producer.send(&topic, "m", 24, &[])?;
    let hidden = [("invisible-ms", "8000")];
    let all = pop_all(&mut popper, sent.len(), &hidden)?;
    let came: BTreeSet<&str> = all.values().flat_map(|messages| bodies(messages)).collect();
    let sent: BTreeSet<&str> = sent.iter().map(String::as_str).collect();
    ensure!(came == sent, "came: {came:?}");
    let mut left = BTreeSet::new();
    for messages in all.values() {
        let (mut together, mut number) = (Vec::new(), 0);
        for message in messages {
            match number % 3 {
                0 => ack(&mut popper, message)?,
                1 => together.push(message),
                _ => drop(left.insert(message.body.as_str())),
            }
            number += 1;
        }
        batch_ack(&mut popper, &together)?;
    }
    let again = pop_all(&mut popper, left.len(), &hidden)?;
    let came: BTreeSet<&str> = again
        .values()
        .flat_map(|messages| bodies(messages))
        .collect();
    ensure!(came == left, "came again: {came:?}, and not {left:?}");
    for messages in again.values().filter(|messages| !messages.is_empty()) {
        let late: Vec<_> = messages.iter().filter(|m| m.times != 1).collect();
        ensure!(late.is_empty(), "not for the second time: {late:?}");
        batch_ack(&mut popper, &messages.iter().collect::<Vec<_>>())?;
    }
    silence(&mut popper)?;
    it.stop([producer, popper])
}

/// In order, a queue returns nothing more before the popped messages are acknowledged.
fn raw_pop_order(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let mut popper = it.popper(&topic).start()?;
    let one_queue = [("mode", "selector"), ("shards", "1")];
    producer.send(&topic, "m", 6, &one_queue)?;
    let sent = producer.sent();
    let queue = sent.first().and_then(|sent| sent.queue.as_deref());
    let (broker, queue) = queue
        .and_then(|queue| queue.split_once(':'))
        .context("a queue")?;
    // A message that is returned again here was asked for; its invisible time is not over.
    let in_order = [
        ("queue", queue),
        ("order", "true"),
        ("count", "3"),
        ("invisible-ms", "600000"),
    ];
    let next = |popper: &mut JavaClient, wanted: &[&str]| -> Result<Vec<Popped>> {
        let popped = wait_until("the next in order", DELIVERY_LIMIT, || {
            let popped = pop(popper, broker, &in_order)?;
            Ok((!popped.is_empty()).then_some(popped))
        })?;
        ensure!(
            bodies(&popped) == wanted,
            "came: {popped:?}, not {wanted:?}"
        );
        Ok(popped)
    };
    let first = next(&mut popper, &["m-0", "m-1", "m-2"])?;
    for acknowledged in &first {
        let popped = pop(&mut popper, broker, &in_order)?;
        ensure!(popped.is_empty(), "came too early: {popped:?}");
        ack(&mut popper, acknowledged)?;
    }
    let second = next(&mut popper, &["m-3", "m-4", "m-5"])?;
    let [given_back, others @ ..] = second.as_slice() else {
        unreachable!("three have come")
    };
    for other in others {
        ack(&mut popper, other)?;
    }
    let sooner = [
        ("handle", given_back.handle.as_str()),
        ("invisible-ms", "500"),
    ];
    popper.run("change-invisible", &sooner)?;
    // The queue starts again with the first message that is not acknowledged.
    let again = next(&mut popper, &["m-3", "m-4", "m-5"])?;
    let times: Vec<u32> = again.iter().map(|message| message.times).collect();
    ensure!(
        times.first().is_some_and(|times| *times > 0),
        "times: {times:?}"
    );
    for message in &again {
        ack(&mut popper, message)?;
    }
    // The queue continues behind them.
    producer.send(&topic, "last", 1, &one_queue)?;
    let last = next(&mut popper, &["last-0"])?;
    for message in &last {
        ack(&mut popper, message)?;
    }
    it.stop([producer, popper])
}

/// A popped message is returned again sooner, or later, when its holder asks for that.
fn raw_pop_change_invisible(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let mut popper = it.popper(&topic).start()?;
    producer.send(&topic, "m", 1, &[])?;
    let one = |all: BTreeMap<&'static str, Vec<Popped>>| {
        let mut all = all.into_values().flatten();
        all.next().context("one has come")
    };
    let first = one(pop_all(&mut popper, 1, &[("invisible-ms", "60000")])?)?;
    let sooner = [("handle", first.handle.as_str()), ("invisible-ms", "1000")];
    let changed = now_ms();
    popper.run("change-invisible", &sooner)?;
    let second = one(pop_all(&mut popper, 1, &[("invisible-ms", "4000")])?)?;
    let took = now_ms() - changed;
    ensure!(
        (1_000..20_000).contains(&took),
        "came again after {took} ms"
    );
    ensure!(second.times == 1, "came: {second:?}");
    let later = [
        ("handle", second.handle.as_str()),
        ("invisible-ms", "60000"),
    ];
    let handle = popper.run("change-invisible", &later)?;
    silence(&mut popper)?;
    let handle = handle.as_str().context("a handle")?;
    let status = popper.run("ack", &[("handle", handle)])?;
    ensure!(status == "OK", "acknowledged by its new handle: {status}");
    it.stop([producer, popper])
}

/// A request that finds nothing waits for the time that it names, or until a message arrives.
fn raw_pop_waits(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    // The first send of a client takes its time; the topic's other messages are not waited for.
    producer.send(&topic, "first", 2, &[])?;
    let mut popper = it.popper(&topic).start()?;
    for message in pop_all(&mut popper, 2, &[])?.values().flatten() {
        ack(&mut popper, message)?;
    }
    let begun = now_ms();
    let popped = pop(&mut popper, BROKERS[0], &[("poll-ms", "2000")])?;
    let took = now_ms() - begun;
    ensure!(popped.is_empty(), "came: {popped:?}");
    ensure!((1_500..6_000).contains(&took), "waited for {took} ms");
    let options = [("broker", BROKERS[0]), ("poll-ms", "15000")];
    let waiting = popper.begin("pop", &options)?;
    thread::sleep(Duration::from_secs(2));
    let begun = now_ms();
    producer.send(&topic, "m", 8, &[])?;
    let popped = parse(popper.end(waiting)?)?;
    let took = now_ms() - begun;
    ensure!(!popped.is_empty(), "woken for nothing");
    ensure!(took < WAKE_LIMIT_MS, "woken after {took} ms");
    it.stop([producer, popper])
}
