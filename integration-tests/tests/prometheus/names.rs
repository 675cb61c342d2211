//! The names of metrics that RocketMQ 5 has itself: their values from a broker, and from Remora.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::wait_exactly_once,
    ports::free_port,
    proxy_process::{Remora, Setup},
    scenario::Scenario,
    suite::report,
    wait::wait_until,
};

use crate::server::get;

/// Brokers look at their clients now and then.
const LIMIT: Duration = Duration::from_secs(90);

/// Names that a broker has as well.
const NAMES: [&str; 8] = [
    "rocketmq_rpc_latency_milliseconds",
    "rocketmq_messages_in_total",
    "rocketmq_messages_out_total",
    "rocketmq_throughput_in_total",
    "rocketmq_throughput_out_total",
    "rocketmq_message_size",
    "rocketmq_producer_connections",
    "rocketmq_consumer_connections",
];

/// A figure: its labels and its value.
type Sample = (BTreeMap<String, String>, f64);

/// Every message through Remora is counted by Remora as by the brokers, under the same names and
/// labels.
pub(crate) fn same_as_of_brokers(it: &Scenario<'_>) -> Result<()> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (topic, group) = (it.topic()?, it.name("members"));
    let setup = Setup {
        name_servers: &it.cluster().target().name_server,
        listen: at(free_port()?),
        admin: at(free_port()?),
        advertise: None,
        brokers: Vec::new(),
        further: &format!("[metrics]\ntopics = [{topic:?}]\ngroups = [{group:?}]\n"),
    };
    let binary = it.remora_binary().context("the test is about Remora")?;
    let remora = Remora::start_setup(binary, &it.dir("remora")?, &setup)?;
    let consumer = it.push_consumer(&topic).target(remora.target());
    let consumer = consumer.option("group", &group).start()?;
    let mut producer = it.producer().target(remora.target()).start()?;
    let mut sent = producer.send(&topic, "plain", 40, &[])?;
    sent.extend(producer.send(&topic, "delayed", 4, &[("delay-level", "1")])?);
    wait_exactly_once(&[&consumer], &sent)?;

    let of = |name: &str, key: &str, value: &str| -> Result<(f64, f64)> {
        let ours = samples(&[remora.admin()], name)?;
        let theirs = samples(it.cluster().figures(), name)?;
        Ok((sum(&ours, key, value), sum(&theirs, key, value)))
    };
    for (name, key, value) in [
        ("rocketmq_messages_in_total", "topic", &topic),
        ("rocketmq_message_size_count", "topic", &topic),
        ("rocketmq_messages_out_total", "consumer_group", &group),
        ("rocketmq_throughput_out_total", "consumer_group", &group),
    ] {
        let (mut ours, mut theirs) = (0.0, 0.0);
        let waited = wait_until(name, LIMIT, || {
            (ours, theirs) = of(name, key, value)?;
            Ok((ours > 0.0 && ours == theirs).then_some(()))
        });
        waited.with_context(|| format!("{ours} through Remora, {theirs} at brokers"))?;
        report(&format!("{name}: {ours} by Remora, {theirs} by brokers"));
    }
    for name in NAMES {
        let histogram = format!("{name}_bucket");
        let all = |from: &[SocketAddr]| -> Result<Vec<Sample>> {
            let plain = samples(from, name)?;
            Ok(if plain.is_empty() {
                samples(from, &histogram)?
            } else {
                plain
            })
        };
        let mut missing = BTreeSet::new();
        let waited = wait_until(name, LIMIT, || {
            let (ours, theirs) = (all(&[remora.admin()])?, all(it.cluster().figures())?);
            missing = keys(&theirs).difference(&keys(&ours)).cloned().collect();
            Ok((!ours.is_empty() && !theirs.is_empty() && missing.is_empty()).then_some(()))
        });
        waited.with_context(|| format!("{name}: a broker has the labels {missing:?}"))?;
    }
    it.stop([producer, consumer])?;
    remora.stop(&[])
}

fn keys(samples: &[Sample]) -> BTreeSet<String> {
    let labels = samples.iter().flat_map(|(labels, _)| labels.keys());
    // The exporter's own labels name its library.
    let labels = labels.filter(|label| !label.starts_with("otel_scope_"));
    labels.cloned().collect()
}

fn sum(samples: &[Sample], key: &str, value: &str) -> f64 {
    let wanted = samples
        .iter()
        .filter(|(labels, _)| labels.get(key).is_some_and(|found| found == value));
    wanted.map(|(_, value)| value).sum()
}

/// All samples of that name.
fn samples(from: &[SocketAddr], name: &str) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for address in from {
        let (status, text) = get(*address, "/metrics")?;
        ensure!(status == 200, "{address}: {text}");
        for line in text.lines() {
            let Some((head, rest)) = line.split_once('{') else {
                continue;
            };
            if head != name {
                continue;
            }
            let (labels, value) = rest.split_once('}').context("labels have an end")?;
            let value = value.split_whitespace().next().context("a value")?;
            let labels = labels.split(',').filter_map(|label| {
                let (key, value) = label.split_once('=')?;
                Some((key.to_owned(), value.trim_matches('"').to_owned()))
            });
            samples.push((labels.collect(), value.parse()?));
        }
    }
    Ok(samples)
}
