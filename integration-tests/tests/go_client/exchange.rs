//! Where a broker talks to clients by itself: transactions and request-reply; and traces.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    compare::{Feature, Run},
    delivery::{wait_arrived_within, wait_exactly_once},
    wait::{now_ms, wait_until},
};

pub(crate) const FEATURES: &[Feature] = &[
    Feature::new("transactions", transactions),
    Feature::new("request_reply_sync", |it| request_reply(it, "sync")),
    Feature::new("request_reply_async", |it| request_reply(it, "async")),
    Feature::new("trace", trace),
    Feature::broken(
        "trace_of_async_send",
        trace_of_async_send,
        "ProducerCtx Not Exist",
        "the client's trace hook finds no context in asynchronous sends",
    ),
];

/// A broker first asks after at most a minute and a half; an outcome that takes effect sooner was
/// not asked for.
const AT_ONCE: Duration = Duration::from_secs(5);
const CHECK_LIMIT: Duration = Duration::from_secs(120);

/// Commits take effect immediately, rollbacks for good, and open transactions end as the producer
/// answers when asked.
fn transactions(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it
        .client("transaction-producer")
        .option("group", it.name("producers"))
        .start()?;
    let open = producer.send(&topic, "later", 4, &[])?;
    let dropped = producer.send(&topic, "never", 4, &[])?;
    producer.send(&topic, "rollback", 8, &[])?;
    let mut committed = producer.send(&topic, "commit", 8, &[])?;
    let sent_at = now_ms();
    wait_exactly_once(&[&consumer], &committed)?;
    let took = Duration::from_millis(now_ms() - sent_at);
    ensure!(took < AT_ONCE, "commits took {took:?}");

    wait_arrived_within(CHECK_LIMIT, &[&consumer], &open)?;
    let asked: BTreeSet<String> = open.iter().chain(&dropped).cloned().collect();
    wait_until("the broker to ask for each", CHECK_LIMIT, || {
        let checked: BTreeSet<String> = serde_json::from_value(producer.run("checked", &[])?)?;
        Ok((checked == asked).then_some(()))
    })?;
    committed.extend(open);
    wait_exactly_once(&[&consumer], &committed)?;
    it.stop([producer, consumer])
}

fn request_reply(it: &Run<'_>, mode: &str) -> Result<()> {
    let topic = it.topic()?;
    let replier = it
        .client("replier")
        .option("group", it.name("repliers"))
        .option("topic", &topic)
        .start()?;
    let mut requester = it
        .client("requester")
        .option("group", it.name("requesters"))
        .start()?;
    // An answer reaches a client that the brokers know, by a heartbeat to those that it has sent
    // something to.
    requester.send(&topic, "hello", 8, &[])?;
    let known = "the requester to be known to the brokers";
    wait_until(known, Duration::from_secs(90), || {
        let options = [("topic", &*topic), ("name", "probe"), ("ttl-ms", "3000")];
        Ok(requester.run("request", &options).ok())
    })?;
    let options = [
        ("topic", &*topic),
        ("name", "q"),
        ("count", "12"),
        ("mode", mode),
    ];
    let answers = requester.run("request", &options)?;
    it.fact(format!("answers: {answers}"));
    it.stop_unasked([requester, replier])
}

/// How the client writes traces down.
const END_OF_FIELD: char = '\u{1}';
const END_OF_TRACE: char = '\u{2}';

/// The records of producer and consumer about their messages, in a topic of their own.
fn trace(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let traces = it.name("traces");
    it.cluster().create_topic(&traces, 1)?;
    let consumer = it
        .push_consumer(&topic)
        .option("trace-topic", &traces)
        .start()?;
    let mut producer = it.producer().option("trace-topic", &traces).start()?;
    let bodies = producer.send(&topic, "m", 20, &[])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    let reader = it
        .push_consumer(&traces)
        .option("group", it.name("trace-readers"))
        .start()?;
    let count = || {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for bundle in reader.received() {
            for trace in bundle.body.split(END_OF_TRACE) {
                let kind = trace.split(END_OF_FIELD).next().unwrap_or_default();
                *count.entry(kind.to_owned()).or_default() += 1;
            }
        }
        // After the last one of a bundle there is nothing.
        count.remove("");
        count
    };
    let wanted = ["Pub", "SubBefore", "SubAfter"].map(|kind| (kind.to_owned(), bodies.len()));
    let wanted = BTreeMap::from(wanted);
    let waited = wait_until("every trace", Duration::from_secs(30), || {
        Ok((count() == wanted).then_some(()))
    });
    waited.with_context(|| format!("traces: {:?}", count()))?;
    it.fact(format!("traces: {wanted:?}"));
    // How traces are bundled is chance.
    it.stop_unasked([reader])?;
    it.stop([producer, consumer])
}

fn trace_of_async_send(it: &Run<'_>) -> Result<()> {
    let topic = it.topic()?;
    let traces = it.name("traces");
    it.cluster().create_topic(&traces, 1)?;
    let mut producer = it.producer().option("trace-topic", &traces).start()?;
    producer.send(&topic, "sync", 5, &[])?;
    let sent = producer.send(&topic, "async", 5, &[("mode", "async")]);
    it.stop([producer])?;
    sent.map(drop)
}
