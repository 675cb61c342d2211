//! The client's message trace: the records of producer and consumer about each message, in a topic
//! of RocketMQ's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result};
use integration_tests::{
    delivery::wait_exactly_once, java_client::JavaClient, scenario::Scenario, suite::TestFn,
    wait::wait_until,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[("message_trace", message_trace)];

const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Traces are gathered for some seconds before they are sent.
const TRACE_LIMIT: Duration = Duration::from_secs(60);
/// How the client writes them down.
const END_OF_FIELD: char = '\u{1}';
const END_OF_TRACE: char = '\u{2}';

fn message_trace(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).option("trace", true).start()?;
    let mut producer = it.producer().option("trace", true).start()?;
    let bodies = producer.send(&topic, "m", 20, &[])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    let reader = it
        .push_consumer(TRACE_TOPIC)
        .option("group", it.name("trace-readers"))
        .start()?;
    let ids = producer.sent().into_iter().filter_map(|sent| sent.id);
    let ids: BTreeSet<String> = ids.collect();
    let wanted = ["Pub", "SubBefore", "SubAfter"].map(|kind| (kind.to_owned(), bodies.len()));
    let wanted = BTreeMap::from(wanted);
    let waited = wait_until("every trace", TRACE_LIMIT, || {
        Ok((count(&reader, &ids) == wanted).then_some(()))
    });
    waited.with_context(|| format!("traces: {:?}", count(&reader, &ids)))?;
    it.stop([producer, consumer, reader])
}

/// How many traces of each kind there are about these messages; other tests have theirs in the same
/// topic.
fn count(reader: &JavaClient, ids: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for bundle in reader.received() {
        for trace in bundle.body.split(END_OF_TRACE) {
            let mut fields = trace.split(END_OF_FIELD);
            let kind = fields.next().unwrap_or_default();
            if fields.any(|field| ids.contains(field)) {
                *count.entry(kind.to_owned()).or_default() += 1;
            }
        }
    }
    count
}
