//! Transactions: committed, rolled back, and decided when the broker asks.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use integration_tests::http_client::Request;
use integration_tests::rocketmq::MessageType;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use serde_json::{Value, json};

use crate::common::{Client, run, text};
use crate::replicas::replica;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("transactions_are_decided", transactions_are_decided),
    (
        "a_broker_asks_about_transactions",
        a_broker_asks_about_transactions,
    ),
];

fn client(it: &Scenario<'_>) -> Result<Client> {
    let topic = it.name("transactions");
    it.cluster()
        .create_typed_topic(&topic, MessageType::Transaction, 2)?;
    Client::with_topic(it, &topic)
}

fn deciding(token: &str, verb: &str) -> Request {
    Request::new("POST", format!("/v1/transactions/{token}:{verb}"))
}

fn transactions_are_decided(it: &Scenario<'_>) -> Result<()> {
    let remora = replica(it, "other")?;
    let client = client(it)?;
    let other = client.at(remora.target().name_server.parse()?);
    run(async {
        client.begin().await?;
        let sent = client.send("?transaction", "kept").await?;
        let token = text(&sent, "transaction")?;
        other.expect(204, &deciding(token, "commit")).await?;
        let sent = client
            .send("?transaction=true&checkAfter=1m", "dropped")
            .await?;
        let token = text(&sent, "transaction")?;
        other.expect(204, &deciding(token, "rollback")).await?;
        let message = client.pull_one().await?;
        ensure!(message["body"] == "kept", "{message}");
        client.acknowledge(&message).await?;
        client.expect_nothing(3).await?;
        for verb in ["commit", "rollback"] {
            client
                .expect_problem("token_invalid", &deciding("x", verb))
                .await?;
        }
        let late = client.sending("?transaction&delay=5s", "x");
        client
            .expect_problem("message_type_conflict", &late)
            .await?;
        let long = client.sending("?transaction&checkAfter=2h", "x");
        client.expect_problem("request_invalid", &long).await?;
        Ok(())
    })?;
    remora.stop(&["slow request"])
}

fn a_broker_asks_about_transactions(it: &Scenario<'_>) -> Result<()> {
    let client = client(it)?;
    run(async {
        client.begin().await?;
        let check = Request::new("POST", client.topic_path("/transactions:check"))
            .body(json!({"max": 32, "wait": "5s"}).to_string());
        let mut tokens = Vec::new();
        for body in ["commit", "rollback"] {
            let sent = client.send("?transaction&checkAfter=6s", body).await?;
            tokens.push(text(&sent, "transaction")?.to_owned());
        }
        // It asks again every few seconds: the last question about each is answered.
        let mut asked = BTreeMap::<String, Value>::new();
        for _ in 0..20 {
            let answer = client.expect(200, &check).await?.json()?;
            let found = answer["transactions"].as_array().context("no list")?;
            for half in found {
                asked.insert(text(half, "body")?.to_owned(), half.clone());
            }
            if asked.len() >= 2 {
                break;
            }
        }
        ensure!(asked.keys().eq(["commit", "rollback"]), "{asked:?}");
        // The broker has asked: what was to be decided before is too late now.
        for (token, verb) in tokens.iter().zip(["commit", "rollback"]) {
            client
                .expect_problem("transaction_ended", &deciding(token, verb))
                .await?;
        }
        for (verb, half) in &asked {
            let token = text(half, "transaction")?;
            client.expect(204, &deciding(token, verb)).await?;
        }
        let message = client.pull_one().await?;
        ensure!(message["body"] == "commit", "{message}");
        client.acknowledge(&message).await
    })
}
