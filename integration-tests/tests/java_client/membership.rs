//! What an administrator sees of clients, and what reaches them from there.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{DELIVERY_LIMIT, unharmed, wait_exactly_once},
    java_client::JavaClient,
    ports::free_port,
    proxy_process::Remora,
    scenario::Scenario,
    suite::TestFn,
    target::Target,
    wait::{now_ms, wait_until},
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("members_seen_at_brokers", members_seen_at_brokers),
    ("members_seen_through_a_relay", members_seen_through_a_relay),
];

/// A client stops for ten seconds when a broker resets its offsets, and does so for one broker
/// after the other.
const RESET_LIMIT: Duration = Duration::from_secs(60);

fn members_seen_at_brokers(it: &Scenario<'_>) -> Result<()> {
    look(it, it.cluster().target())
}

/// The administrator's tool is pointed at a proxy that relays what administers.
fn members_seen_through_a_relay(it: &Scenario<'_>) -> Result<()> {
    let Some(binary) = it.remora_binary() else {
        return look(it, it.cluster().target());
    };
    let brokers = it.cluster().brokers();
    let listeners = brokers
        .iter()
        .map(|broker| Ok((broker.name(), free_port()?)))
        .collect::<Result<Vec<_>>>()?;
    let remora = Remora::start_with(
        binary,
        &it.dir("remora")?,
        &it.cluster().target().name_server,
        SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
        &listeners,
        &["--admin-relay", "true", "--broker-addresses", "always"],
    )?;
    look(it, remora.target())?;
    remora.stop(&[])
}

/// Asks everything about a group of two and a producer.
fn look(it: &Scenario<'_>, target: &Target) -> Result<()> {
    let begin = now_ms();
    let topic = it.topic()?;
    let (group, producers) = (it.name("consumers"), it.name("producers"));
    let mut members = [
        it.push_consumer(&topic).start()?,
        it.push_consumer(&topic).start()?,
    ];
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 40, &[])?;
    wait_exactly_once(&[&members[0], &members[1]], &bodies)?;
    let mut ids = Vec::new();
    for member in &mut members {
        ids.push(client_id(member)?);
    }
    let [first, _] = ids.as_slice() else {
        anyhow::bail!("two members");
    };

    let connection = it.mqadmin(target, &["consumerConnection", "-g", &group])?;
    shows(&connection, &ids)?;
    shows(
        &connection,
        &["JAVA", "V5_5_0", "CONSUME_PASSIVELY", &topic],
    )?;
    let arguments = ["producerConnection", "-g", &producers, "-t", &topic];
    let connection = it.mqadmin(target, &arguments)?;
    shows(
        &connection,
        &[client_id(&mut producer)?.as_str(), "JAVA", "V5_5_0"],
    )?;
    // Offsets are stored every five seconds.
    wait_until("the offsets to be stored", DELIVERY_LIMIT, || {
        let progress = it.mqadmin(target, &["consumerProgress", "-g", &group, "-s", "true"])?;
        Ok(progress.contains("Diff Total: 0").then_some(()))
    })?;
    let status = it.mqadmin(target, &["consumerStatus", "-g", &group, "-i", first])?;
    shows(
        &status,
        &["#Consumer MQ Detail#", "PROP_CLIENT_VERSION", &topic],
    )?;

    let mut expected = bodies.len();
    // The tool asks the server whose address is in the message, past any proxy.
    if target.name_server == it.cluster().target().name_server {
        let sent = producer.sent().into_iter().next();
        let id = sent
            .and_then(|sent| sent.id)
            .context("a send returns the id")?;
        let arguments = [
            "queryMsgByUniqueKey",
            "-t",
            &topic,
            "-i",
            &id,
            "-g",
            &group,
            "-d",
            first,
        ];
        shows(&it.mqadmin(target, &arguments)?, &["CR_SUCCESS"])?;
        expected += 1;
        wait_times(&members, expected)?;
    }

    let timestamp = begin.to_string();
    let arguments = [
        "resetOffsetByTime",
        "-g",
        &group,
        "-t",
        &topic,
        "-s",
        &timestamp,
    ];
    let reset = it.mqadmin(target, &arguments)?;
    shows(&reset, &["broker-a", "broker-b"])?;
    wait_times(&members, expected + bodies.len())?;
    for member in &members {
        unharmed(&member.received())?;
    }
    it.stop(members.into_iter().chain([producer]))
}

/// Waits until the members together have got this many messages.
fn wait_times(members: &[JavaClient], count: usize) -> Result<()> {
    let got = || {
        members
            .iter()
            .map(|member| member.received().len())
            .sum::<usize>()
    };
    wait_until("the members to get messages again", RESET_LIMIT, || {
        Ok((got() >= count).then_some(()))
    })
    .map_err(|e| e.context(format!("{} of {count} arrivals", got())))?;
    ensure!(got() == count, "{} arrivals instead of {count}", got());
    Ok(())
}

fn client_id(client: &mut JavaClient) -> Result<String> {
    Ok(serde_json::from_value(client.run("client-id", &[])?)?)
}

fn shows(output: &str, texts: &[impl AsRef<str>]) -> Result<()> {
    for text in texts {
        let text = text.as_ref();
        ensure!(output.contains(text), "{text:?} is not in:\n{output}");
    }
    Ok(())
}
