//! Any replica serves what another has begun, and clients of all protocols meet.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration_tests::delivery;
use integration_tests::proxy_process::Remora;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use integration_tests::wait::wait_until;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::common::{Client, bodies, run, text};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("calls_may_go_to_any_replica", calls_may_go_to_any_replica),
    (
        "what_arrives_as_a_client_leaves_is_given_back",
        what_arrives_as_a_client_leaves_is_given_back,
    ),
    ("remoting_and_http_meet", remoting_and_http_meet),
    ("consoles_show_the_group", consoles_show_the_group),
];

/// One more replica.
pub(crate) fn replica(it: &Scenario<'_>, name: &str) -> Result<Remora> {
    let binary = it.remora_binary().context("no binary")?;
    let name_server = it.cluster().target().name_server.clone();
    Remora::start(binary, &it.dir(name)?, &name_server)
}

fn calls_may_go_to_any_replica(it: &Scenario<'_>) -> Result<()> {
    let (one, other) = (replica(it, "one")?, replica(it, "other")?);
    let client = Client::new(it)?;
    let one_client = client.at(one.target().name_server.parse()?);
    let other_client = client.at(other.target().name_server.parse()?);
    run(async {
        one_client.begin().await?;
        for nth in 0..8 {
            let sender = if nth % 2 == 0 {
                &one_client
            } else {
                &other_client
            };
            sender.send("", format!("m{nth}")).await?;
        }
        let messages = one_client.pull_all(8).await?;
        ensure!(bodies(&messages).len() == 8, "{messages:?}");
        let (first, rest) = messages.split_first().context("no message")?;
        let handle = text(first, "handle")?;
        let results = other_client
            .settle(&json!({"extends": [{"handle": handle, "invisible": "10s"}]}))
            .await?;
        let extended = text(&results[0], "newHandle")?;
        one_client.acknowledge(&json!({"handle": extended})).await?;
        let handles: Vec<_> = rest.iter().map(|message| &message["handle"]).collect();
        let results = other_client.settle(&json!({"acks": handles})).await?;
        ensure!(results.iter().all(|one| one["ok"] == true), "{results:?}");
        one_client.expect_nothing(12).await
    })?;
    one.stop(&["slow request"])?;
    other.stop(&["slow request"])
}

/// The replica learns of both at the same moment: it is frozen until then.
fn what_arrives_as_a_client_leaves_is_given_back(it: &Scenario<'_>) -> Result<()> {
    let one = replica(it, "one")?;
    let client = Client::new(it)?;
    let address = one.target().name_server.parse()?;
    run(async {
        client.begin().await?;
        client.at(address).begin().await?;
        for round in 0..4 {
            let asked = json!({"wait": "30s", "invisible": "1h", "max": 32});
            let poll = client.pulling(&asked).start(address).await?;
            sleep(Duration::from_millis(500)).await;
            one.process().freeze()?;
            for nth in 0..4 {
                client.send("", format!("m{round}-{nth}")).await?;
            }
            sleep(Duration::from_millis(300)).await;
            drop(poll);
            one.process().thaw()?;
            let begun = Instant::now();
            let messages = client.pull_all(4).await?;
            let waited = begun.elapsed().as_millis();
            ensure!(waited < 7_000, "{waited} ms: {messages:?}");
            let acks: Vec<_> = messages.iter().map(|one| one["handle"].clone()).collect();
            client.settle(&json!({"acks": acks})).await?;
        }
        Ok(())
    })?;
    one.stop(&["slow request"])
}

fn remoting_and_http_meet(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let client = Client::with_topic(it, &topic)?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it.producer().start()?;
    run(async {
        client.begin().await?;
        let sent = producer.send(&topic, "remoting", 8, &[("tags", "t")])?;
        let messages = client.pull_all(8).await?;
        ensure!(bodies(&messages) == sent, "{messages:?}");
        ensure!(
            messages.iter().all(|message| message["tag"] == "t"),
            "{messages:?}"
        );
        let handles: Vec<_> = messages.iter().map(|message| &message["handle"]).collect();
        client.settle(&json!({"acks": handles})).await?;
        let mut all = sent;
        for nth in 0..8 {
            let body = format!("http-{nth}");
            client.send("?key=k", body.clone()).await?;
            all.push(body);
        }
        delivery::wait_arrived(&[&consumer], &all)
    })?;
    it.stop([producer, consumer])
}

fn consoles_show_the_group(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        client.send("", "m").await?;
        let message = client.pull_one().await?;
        client.acknowledge(&message).await
    })?;
    let target = it.cluster().target();
    let arguments = ["consumerConnection", "-g", &client.group];
    wait_until("a member of HTTP", Duration::from_secs(30), || {
        // The tool fails while there is no member.
        let shown = it.mqadmin(target, &arguments);
        Ok(shown
            .is_ok_and(|shown| shown.contains("http@"))
            .then_some(()))
    })
}
