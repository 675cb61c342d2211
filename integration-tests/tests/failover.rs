//! Brokers and name servers that go away, one after the other, in a cluster that nothing else uses.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{of_broker, unharmed, wait_arrived, wait_arrived_within, wait_exactly_once},
    java_client::JavaClient,
    ports::free_port,
    proxy_process::Remora,
    scenario::Scenario,
    suite::Suite,
    wait::wait_until,
};

fn main() -> ExitCode {
    let suite = Suite {
        name: "failover",
        brokers: &["broker-a", "broker-b"],
        clients: &[],
        // What one test takes away, another would miss.
        parallel: 1,
        // That one of them is away is worth a warning.
        expected_warnings: &["name server", "broker"],
        // A client may ask the dead one first, and then fails its first send.
        only_through_remora: vec!["one_of_two_name_servers_is_dead"],
        tests: vec![
            (
                "one_of_two_name_servers_is_dead",
                one_of_two_name_servers_is_dead,
            ),
            (
                "name_server_dies_and_comes_back",
                name_server_dies_and_comes_back,
            ),
            ("broker_dies_and_comes_back", broker_dies_and_comes_back),
        ],
    };
    suite.run()
}

/// How many more messages a producer must send after each change. A message goes every
/// [`PAUSE_MS`].
const MESSAGES: usize = 200;
const PAUSE_MS: &str = "20";
/// A client asks for a route every 30 s; twice that, and the time a broker takes to start.
const RECOVERY_LIMIT: Duration = Duration::from_secs(90);

fn one_of_two_name_servers_is_dead(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let dead = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let both = format!("{dead};{}", it.cluster().target().name_server);
    let binary = it.remora_binary().context("the test is about Remora")?;
    let remora = Remora::start(binary, &it.dir("remora")?, &both)?;
    let consumer = it.push_consumer(&topic).target(remora.target()).start()?;
    let mut producer = it.producer().target(remora.target()).start()?;
    let bodies = producer.send(&topic, "m", 50, &[])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    it.stop([producer, consumer])?;
    remora.stop(&["name server"])
}

/// Clients that know their topics notice nothing, although they keep asking for routes.
fn name_server_dies_and_comes_back(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it
        .push_consumer(&topic)
        .option("poll-name-server-ms", 1000)
        .start()?;
    let mut producer = it.producer().option("poll-name-server-ms", 1000).start()?;
    let mut bodies = producer.send(&topic, "before", 50, &[])?;
    wait_exactly_once(&[&consumer], &bodies)?;

    let name_server = it.cluster().name_server();
    name_server.kill()?;
    bodies.extend(producer.send(&topic, "without", MESSAGES, &[("pause-ms", PAUSE_MS)])?);
    wait_exactly_once(&[&consumer], &bodies)?;
    if it.remora_binary().is_some() {
        // Directly, a client that starts now would know no route. Remora still does.
        let mut late = it.producer().start()?;
        bodies.extend(late.send(&topic, "late", 50, &[])?);
        wait_exactly_once(&[&consumer], &bodies)?;
        it.stop([late])?;
    }

    name_server.start()?;
    it.cluster().wait_registered()?;
    bodies.extend(producer.send(&topic, "after", 50, &[])?);
    wait_exactly_once(&[&consumer], &bodies)?;
    let new_topic = it.name("new-topic");
    it.cluster().create_topic(&new_topic, 1)?;
    producer.send(&new_topic, "new", 10, &[])?;
    it.stop([producer, consumer])
}

/// A producer with default settings that sends synchronously never fails, and consumers go on with
/// the broker that is left, later with both.
fn broker_dies_and_comes_back(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it.producer().start()?;
    producer.run(
        "start-sending",
        &[("topic", &topic), ("name", "m"), ("pause-ms", PAUSE_MS)],
    )?;
    wait_sent_by(&producer, "broker-a", MESSAGES / 2)?;

    let broker = it
        .cluster()
        .brokers()
        .first()
        .context("the cluster has a broker")?;
    ensure!(
        broker.name() == "broker-a",
        "the test kills the wrong broker"
    );
    broker.kill()?;
    wait_sent_by(&producer, "broker-b", MESSAGES)?;
    let survivors: Vec<String> = of_broker(&producer.sent(), "broker-b");
    wait_arrived(&[&consumer], &survivors)?;

    broker.start()?;
    it.cluster().wait_registered()?;
    wait_sent_by(&producer, "broker-a", MESSAGES / 2)?;
    producer.run("stop-sending", &[])?;

    let failures = producer.send_failures();
    ensure!(failures.is_empty(), "sends failed: {failures:?}");
    let bodies: Vec<String> = producer.sent().into_iter().map(|sent| sent.body).collect();
    wait_arrived_within(RECOVERY_LIMIT, &[&consumer], &bodies)?;
    unharmed(&consumer.received())?;
    it.stop([producer, consumer])
}

/// Waits until this many more messages were stored by the broker.
fn wait_sent_by(producer: &JavaClient, broker: &str, more: usize) -> Result<()> {
    let before = of_broker(&producer.sent(), broker).len();
    wait_until(
        &format!("{more} more messages to {broker}"),
        RECOVERY_LIMIT,
        || Ok((of_broker(&producer.sent(), broker).len() >= before + more).then_some(())),
    )
}
