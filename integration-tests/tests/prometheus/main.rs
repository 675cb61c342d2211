//! The real Prometheus scrapes Remora under load from a real cluster, with the rules and for the
//! dashboard that are shipped: every expression of theirs must have a result.

mod expressions;
mod names;
mod server;

use std::{fs, net::Ipv4Addr, process::ExitCode, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    compare::BROKERS,
    ports::free_port,
    proxy_process::{Remora, Setup},
    rocketmq::Layout,
    scenario::Scenario,
    suite::{Suite, TestFn, report},
    tls::Authority,
    wait::wait_until,
};

use expressions::{of_dashboard, of_rules};
use server::Prometheus;

const TESTS: &[(&str, TestFn)] = &[
    ("every_expression_has_data", every_expression_has_data),
    (
        "rocketmqs_own_names_have_its_labels_and_meaning",
        names::same_as_of_brokers,
    ),
];

/// How long messages flow before Prometheus is asked: a rate takes two scrapes.
const FLOW: Duration = Duration::from_secs(8);

/// How soon every expression has data.
const LIMIT: Duration = Duration::from_secs(40);

fn main() -> ExitCode {
    Suite {
        name: "prometheus",
        brokers: &BROKERS,
        clients: &[],
        parallel: 1,
        expected_warnings: &[],
        only_through_remora: TESTS.iter().map(|(name, _)| *name).collect(),
        tests: TESTS.to_vec(),
    }
    .run_on(Layout {
        tells_figures: true,
        ..Layout::default()
    })
}

fn every_expression_has_data(it: &Scenario<'_>) -> Result<()> {
    let at = |port| (Ipv4Addr::LOCALHOST, port).into();
    let admin = at(free_port()?);
    let topic = it.topic()?;
    let group = it.name("members");
    // With TLS, so that there is a certificate to expose.
    let issued = Authority::new()?.issue("localhost")?;
    let (certificate, key) = (
        it.dir("tls")?.join("tls.crt"),
        it.dir("tls")?.join("tls.key"),
    );
    fs::write(&certificate, issued.certificate)?;
    fs::write(&key, issued.key)?;
    let tls = format!(
        "[tls]\nmode = \"permissive\"\n[[tls.certificate]]\ncertificate = {certificate:?}\nkey = {key:?}\n"
    );
    let setup = Setup {
        name_servers: &it.cluster().target().name_server,
        listen: at(free_port()?),
        admin,
        advertise: None,
        brokers: Vec::new(),
        further: &format!("[metrics]\ntopics = [{topic:?}]\ngroups = [{group:?}]\n{tls}"),
    };
    let binary = it.remora_binary().context("the test is about Remora")?;
    let remora = Remora::start_setup(binary, &it.dir("remora")?, &setup)?;
    let prometheus = Prometheus::start(&it.dir("prometheus")?, admin)?;
    let consumer = it.push_consumer(&topic).target(remora.target());
    let consumer = consumer.option("group", group).start()?;
    let mut producer = it.producer().target(remora.target()).start()?;
    let options = [("topic", topic.as_str()), ("name", "m"), ("pause-ms", "5")];
    producer.run("start-sending", &options)?;
    thread::sleep(FLOW);
    let mut all = of_rules("deploy/prometheus/recording.rules.yaml")?;
    all.extend(of_rules("deploy/prometheus/alerts.rules.yaml")?);
    all.extend(of_dashboard("deploy/grafana/remora.json")?);
    ensure!(all.len() > 60, "only {} expressions were found", all.len());
    let mut silent = Vec::new();
    let waited = wait_until("every expression to have data", LIMIT, || {
        silent.clear();
        for expression in &all {
            if prometheus.query(expression)? == 0 {
                silent.push(expression.clone());
            }
        }
        Ok(silent.is_empty().then_some(()))
    });
    waited.with_context(|| format!("no data:\n{}", silent.join("\n")))?;
    report(&format!("{} expressions have data", all.len()));
    let up = prometheus.query("up{job=\"remora\"} == 1")?;
    ensure!(up == 1, "Remora is not scraped");
    let scrape = prometheus.value("scrape_duration_seconds{job=\"remora\"}")?;
    ensure!(scrape < 0.5, "a scrape takes {scrape} s");
    producer.run("stop-sending", &[])?;
    it.stop([producer, consumer])?;
    prometheus.stop()?;
    remora.stop(&[])
}
