//! Connections to real brokers, under load from real clients.

use std::{collections::BTreeSet, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    balancer::{Direction, Which},
    delivery::{of_broker, unharmed, wait_arrived_within},
    fake::request,
    java_client::JavaClient,
    raw::RawConnection,
    rocketmq::Server,
    scenario::Scenario,
    suite::{TestFn, report},
    wait::{now_ms, wait_until},
};
use remoting_codec::RequestCode;
use serde_json::Value;

use crate::REPLACED;

pub(crate) const QUICK: &[(&str, TestFn)] = &[("both_directions", |it| {
    silent(it, Direction::Both, Which::All, Duration::ZERO)
})];

pub(crate) const ALL: &[(&str, TestFn)] = &[
    ("from_brokers_only", |it| {
        silent(it, Direction::ToClient, Which::All, Duration::ZERO)
    }),
    ("to_brokers_only", |it| {
        silent(it, Direction::ToServer, Which::All, Duration::ZERO)
    }),
    ("data_connections_only", |it| {
        silent(it, Direction::Both, Which::Data, Duration::ZERO)
    }),
    ("lanes_only_for_longer_than_brokers_wait", |it| {
        silent(it, Direction::Both, Which::Lanes, FORGOTTEN)
    }),
];

/// A broker forgets a client that has sent nothing for 120 s.
const FORGOTTEN: Duration = Duration::from_secs(140);
const START_LIMIT: Duration = Duration::from_secs(60);
/// On a busy machine, everything is that much later.
const LATE: Duration = Duration::from_secs(3);
const PAUSE_MS: &str = "10";

fn silent(it: &Scenario<'_>, direction: Direction, which: Which, then: Duration) -> Result<()> {
    let topic = it.topic()?;
    let group = it.name("consumers");
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it.producer().start()?;
    let options = [
        ("topic", topic.as_str()),
        ("name", "m"),
        ("pause-ms", PAUSE_MS),
    ];
    producer.run("start-sending", &options)?;
    let brokers = it.cluster().brokers();
    for broker in brokers {
        wait_flowing(&producer, &consumer, broker, 0, START_LIMIT)?;
    }
    let before: Vec<BTreeSet<String>> = brokers
        .iter()
        .map(|broker| members(broker, &group))
        .collect::<Result<_>>()?;
    ensure!(
        before.iter().all(|members| !members.is_empty()),
        "the consumer is no member before: {before:?}"
    );
    let struck = now_ms();
    let count = it.cluster().silence(direction, which);
    ensure!(count > 0, "there was no connection to silence");
    for (broker, before) in brokers.iter().zip(&before) {
        wait_flowing(&producer, &consumer, broker, struck, REPLACED + LATE)
            .with_context(|| format!("{} does not go on", broker.name()))?;
        if which == Which::Data {
            continue;
        }
        // It is a member by a connection that is not a dead one.
        let what = format!("the consumer to be a member at {}", broker.name());
        wait_until(&what, REPLACED + LATE, || {
            Ok((!members(broker, &group)?.is_subset(before)).then_some(()))
        })?;
    }
    let went_on = now_ms() - struck;
    thread::sleep(then);
    for broker in brokers {
        let members = members(broker, &group)?;
        ensure!(
            !members.is_empty(),
            "{} has forgotten the consumer",
            broker.name()
        );
    }
    producer.run("stop-sending", &[])?;
    let sent: Vec<String> = producer.sent().into_iter().map(|sent| sent.body).collect();
    wait_arrived_within(START_LIMIT, &[&consumer], &sent)?;
    let received = consumer.received();
    unharmed(&received)?;
    let failures = producer.send_failures();
    let limit = struck + (REPLACED + LATE).as_millis() as u64;
    let late: Vec<_> = failures
        .iter()
        .filter(|failed| failed.started_at > limit)
        .collect();
    let twice = received.len()
        - received
            .iter()
            .map(|one| &one.body)
            .collect::<BTreeSet<_>>()
            .len();
    report(&format!(
        "{direction:?}, {which:?}: {count} connections silent, all went on after {went_on} ms; {} messages acknowledged and \
         consumed, {twice} twice; {} sends failed",
        sent.len(),
        failures.len()
    ));
    ensure!(late.is_empty(), "sends failed later: {late:?}");
    it.stop([producer, consumer])
}

/// Waits until messages that were sent after that moment have been stored at the broker, and
/// consumed from it.
fn wait_flowing(
    producer: &JavaClient,
    consumer: &JavaClient,
    broker: &Server,
    since: u64,
    limit: Duration,
) -> Result<()> {
    const ENOUGH: usize = 10;
    wait_until("messages to flow", limit, || {
        let mut sent = producer.sent();
        sent.retain(|sent| sent.started_at > since);
        let stored: BTreeSet<String> = of_broker(&sent, broker.name()).into_iter().collect();
        let received = consumer.received().into_iter();
        let arrived = received.filter(|one| stored.contains(&one.body)).count();
        Ok((arrived >= ENOUGH).then_some(()))
    })
}

/// The addresses by which members of a group are connected to a broker, as the broker lists them.
fn members(broker: &Server, group: &str) -> Result<BTreeSet<String>> {
    let ask = request(
        RequestCode::GET_CONSUMER_CONNECTION_LIST,
        1,
        &[("consumerGroup", group)],
    );
    let answer = RawConnection::connect(broker.address())?.call(&ask)?;
    // CONSUMER_NOT_ONLINE, for one.
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return Ok(BTreeSet::new());
    };
    let connections = body.get("connectionSet").and_then(Value::as_array);
    let addresses = connections.into_iter().flatten().filter_map(|connection| {
        let address = connection.get("clientAddr")?.as_str()?;
        Some(address.to_owned())
    });
    Ok(addresses.collect())
}
