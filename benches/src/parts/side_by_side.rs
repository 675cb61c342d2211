//! Everything on one real broker.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use integration_tests::java::Java;

use super::{Options, start_remora, through};
use crate::checks::{Outcome, outcomes};
use crate::machine;
use crate::plot;
use crate::report::Section;
use crate::rounds::{Measured, Metric, Plan};
use crate::shape::{PULL_TOPIC, QUEUES, SEND_TOPIC, on_broker};
use crate::stack::{
    BROKER, Cluster, DIRECT, Haproxy, JavaProxy, Target, haproxy_version, wait_until_served,
};
use crate::tables;

/// The file of the plot.
const PLOT: &str = "side-by-side.svg";

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let java = Java::build()?;
    let mut cluster = Cluster::start(&java, dir)?;
    cluster.create_topic(SEND_TOPIC, QUEUES)?;
    cluster.create_topic(PULL_TOPIC, QUEUES)?;
    let pulled = cluster.fill(PULL_TOPIC, QUEUES)?;
    let haproxy = Haproxy::start(&dir.join("haproxy"), &[cluster.broker()])?;
    let java_proxy = JavaProxy::start(&dir.join("java-proxy"), cluster.name_server(), SEND_TOPIC)?;
    let remora = start_remora(dir, cluster.name_server())?;
    let direct = Target::new(DIRECT, vec![cluster.broker()], None);
    let plan = Plan {
        targets: vec![
            direct,
            haproxy.target(),
            java_proxy.target(),
            through(&remora),
        ],
        broker: cluster.broker_pid(),
        broker_address: None,
        brokers: vec![BROKER.to_owned()],
        shapes: options.chosen(on_broker()),
        rounds: options.rounds,
        timing: options.timing(),
    };
    for target in &plan.targets {
        for address in &target.addresses {
            wait_until_served(*address, SEND_TOPIC)?;
        }
    }
    plan.warm_up(Duration::from_millis(options.warm_up))?;
    let measured = plan.measure()?;
    drop(java_proxy);
    // No warning about its brokers matters here.
    remora.stop(&[""])?;
    cluster.stop()?;

    let title = "Side by side on one real broker";
    plot::write(&options.results.join(PLOT), title, &measured)?;
    Section {
        part: "side-by-side",
        title: title.to_owned(),
        peers: vec![
            "RocketMQ broker and Java proxy 5.5.0 (1 GB heap each, G1)".to_owned(),
            machine::java(),
            format!("HAProxy {} (TCP, two threads)", haproxy_version()?),
        ],
        method: options.method(&format!(
            "figures are medians, quartiles in brackets; a pull returns {pulled} bytes."
        )),
        body: body(&measured, true, PLOT),
    }
    .publish(&options.results)
}

/// All tables of a side by side.
pub(super) fn body(measured: &[Measured], real: bool, plot: &str) -> String {
    let plot = format!("![requests per second and CPU time]({plot})\n\n");
    plot + &goals(&outcomes(measured, real)) + &figures(measured)
}

/// The goals, with how many of them were reached.
pub(super) fn goals(all: &[Outcome]) -> String {
    let reached = all.iter().filter(|one| one.verdict() == "reached").count();
    format!(
        "### Goals: {reached} of {} reached\n\n{}",
        all.len(),
        tables::outcomes(all)
    )
}

/// The tables of all figures.
pub(super) fn figures(measured: &[Measured]) -> String {
    let mut text = String::new();
    for (title, metric) in [
        ("Requests per second", Metric::Rate),
        ("CPU time of the proxy per request, µs", Metric::ProxyCpu),
        ("CPU time of the broker per request, µs", Metric::BrokerCpu),
        ("p50, µs", Metric::P50),
        ("p99, µs", Metric::P99),
        ("MB of bodies per second", Metric::Bodies),
        ("Resident memory of the proxy after it, MB", Metric::Memory),
        (
            "CPU time of the load generator per request, µs",
            Metric::LoadCpu,
        ),
    ] {
        text.push_str(&format!(
            "\n### {title}\n\n{}",
            tables::figures(measured, metric)
        ));
    }
    text
}
