//! Consuming: what becomes of messages that were pulled, and of those that were not.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration_tests::http_client::{Answer, Request};
use integration_tests::rocketmq::Group;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Client, bodies, run, text};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    (
        "messages_are_settled_in_one_request",
        messages_are_settled_in_one_request,
    ),
    ("an_expired_handle_is_refused", an_expired_handle_is_refused),
    ("forged_handles_have_results", forged_handles_have_results),
    ("a_dead_letter_is_one", a_dead_letter_is_one),
    (
        "filters_let_pass_what_they_name",
        filters_let_pass_what_they_name,
    ),
    ("a_long_poll_waits", a_long_poll_waits),
    (
        "a_poll_that_is_left_gives_back",
        a_poll_that_is_left_gives_back,
    ),
    (
        "a_compressed_body_is_decompressed",
        a_compressed_body_is_decompressed,
    ),
];

fn messages_are_settled_in_one_request(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        for body in ["ack", "nack", "extend", "dead"] {
            client.send("", body).await?;
        }
        let messages = client.pull_all(4).await?;
        let handle = |body: &str| {
            let mut found = messages.iter().filter(|message| message["body"] == body);
            found.next().map(|message| message["handle"].clone())
        };
        let results = client
            .settle(&json!({
                "acks": [handle("ack")],
                "nacks": [{"handle": handle("nack"), "delay": "0s"}],
                "extends": [{"handle": handle("extend"), "invisible": "10s"}],
                "deadLetters": [handle("dead")],
            }))
            .await?;
        let actions: Vec<_> = results.iter().map(|one| text(one, "action").ok()).collect();
        let expected = ["ack", "nack", "extend", "deadLetter"].map(Some);
        ensure!(actions == expected, "{results:?}");
        ensure!(results.iter().all(|one| one["ok"] == true), "{results:?}");
        // The new handle settles, the former one does not.
        let extended = text(&results[2], "newHandle")?;
        ensure!(extended != results[2]["handle"], "{results:?}");
        // The nack comes first; what was extended, after its time.
        let nacked = client.pull_one().await?;
        ensure!(
            nacked["body"] == "nack" && nacked["attempt"] == 2,
            "{nacked}"
        );
        client.acknowledge(&nacked).await?;
        client.acknowledge(&json!({"handle": extended})).await?;
        client.expect_nothing(14).await?;
        dead_letter(it, &client, "dead").await
    })
}

fn an_expired_handle_is_refused(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        client.send("", "m").await?;
        let asked = json!({"wait": "10s", "invisible": "10s"});
        let messages = client.pull(&asked).await?;
        let first = messages.first().context("no message")?;
        sleep(Duration::from_millis(12_500)).await;
        let path = format!("/messages/{}", text(first, "handle")?);
        let request = Request::new("DELETE", client.group_path(&path));
        let problem = client.expect_problem("handle_expired", &request).await?;
        ensure!(problem["status"] == 410, "{problem}");
        let again = client.pull_one().await?;
        ensure!(again["attempt"] == 2, "{again}");
        client.acknowledge(&again).await
    })
}

fn forged_handles_have_results(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        client.send("", "m").await?;
        let message = client.pull_one().await?;
        let good = text(&message, "handle")?;
        let cut = &good[1..];
        let results = client.settle(&json!({"acks": ["x", cut, good]})).await?;
        let is_ok: Vec<_> = results.iter().map(|one| one["ok"] == true).collect();
        ensure!(is_ok == [false, false, true], "{results:?}");
        ensure!(
            results[0]["error"]["code"] == "handle_invalid",
            "{results:?}"
        );
        let other = Client {
            group: it.name("other"),
            ..client.clone()
        };
        let results = other.settle(&json!({"acks": [good]})).await?;
        ensure!(
            results[0]["error"]["code"] == "handle_invalid",
            "{results:?}"
        );
        let both = client.settling(&json!({"acks": ["a"], "deadLetters": ["a"]}));
        client.expect_problem("request_invalid", &both).await?;
        let none = client.settling(&json!({}));
        client.expect_problem("body_invalid", &none).await?;
        let forged = Request::new("DELETE", client.group_path("/messages/x"));
        client.expect_problem("handle_invalid", &forged).await?;
        Ok(())
    })
}

/// After its last attempt, a message that is not acknowledged becomes a dead letter by itself.
fn a_dead_letter_is_one(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    it.cluster().create_group(Group {
        retries: 1,
        ..Group::new(&client.group)
    })?;
    run(async {
        client.begin().await?;
        client.send("", "dead").await?;
        for _ in 0..2 {
            let message = client.pull_one().await?;
            let handle = text(&message, "handle")?;
            client
                .settle(&json!({"nacks": [{"handle": handle, "delay": "0s"}]}))
                .await?;
        }
        client.expect_nothing(8).await?;
        dead_letter(it, &client, "dead").await
    })
}

/// Takes a message of that body from the group's dead letters.
async fn dead_letter(it: &Scenario<'_>, client: &Client, body: &str) -> Result<()> {
    let dead = Client {
        topic: format!("%25DLQ%25{}", client.group),
        group: it.name("undertaker"),
        ..client.clone()
    };
    let message = dead.pull_one().await?;
    ensure!(message["body"] == body, "{message}");
    dead.acknowledge(&message).await
}

fn filters_let_pass_what_they_name(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        for tag in ["a", "b", "c"] {
            let query = format!("?tag={tag}&property=number={}", tag.len());
            client.send(&query, tag).await?;
        }
        let mut got = Vec::new();
        for _ in 0..6 {
            let asked = json!({"filter": "a||b", "wait": "2s"});
            got.extend(client.pull(&asked).await?);
        }
        ensure!(bodies(&got) == ["a", "b"], "{got:?}");
        let sql = Client {
            group: it.name("sql"),
            ..client.clone()
        };
        let broken = sql.pulling(&json!({"filter": {"sql": "TAGS ="}}));
        let problem = sql.expect_problem("request_invalid", &broken).await?;
        ensure!(problem["parameter"] == "filter", "{problem}");
        let asked = json!({"filter": {"sql": "TAGS = 'c'"}, "wait": "2s"});
        sql.pull(&asked).await?;
        client.send("?tag=c", "by sql").await?;
        client.send("?tag=d", "not").await?;
        let mut got = Vec::new();
        for _ in 0..4 {
            got.extend(sql.pull(&asked).await?);
        }
        ensure!(
            bodies(&got).contains(&"by sql") && !bodies(&got).contains(&"not"),
            "{got:?}"
        );
        let wrong = sql.pulling(&json!({"filter": "||"}));
        client.expect_problem("request_invalid", &wrong).await?;
        Ok(())
    })
}

fn a_long_poll_waits(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        let begun = Instant::now();
        client.expect_nothing(3).await?;
        let waited = begun.elapsed();
        ensure!((2_900..6_000).contains(&waited.as_millis()), "{waited:?}");
        let later = async {
            sleep(Duration::from_secs(2)).await;
            client.send("", "late").await
        };
        let begun = Instant::now();
        let (message, sent) = tokio::join!(client.pull_one(), later);
        let (message, _) = (message?, sent?);
        ensure!(message["body"] == "late", "{message}");
        let waited = begun.elapsed();
        ensure!((1_900..4_900).contains(&waited.as_millis()), "{waited:?}");
        client.acknowledge(&message).await
    })
}

/// What was popped for a client that has left in the middle of its poll is visible again soon,
/// although the poll asks for a long invisible time.
/// A poll that is not left in time is answered with what the ones before have missed.
fn a_poll_that_is_left_gives_back(it: &Scenario<'_>) -> Result<()> {
    const COUNT: usize = 6;
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        let (mut received, mut left) = (Vec::new(), 0);
        for nth in 0..COUNT {
            let asked = json!({"wait": "30s", "invisible": "1h"});
            let mut poll = client.pulling(&asked).start(client.address).await?;
            let mut bytes = Vec::new();
            let read = timeout(Duration::from_millis(500), poll.read_to_end(&mut bytes)).await;
            if read.is_ok() || !bytes.is_empty() {
                poll.read_to_end(&mut bytes).await?;
                let answer = Answer::parse(&bytes)?.json()?;
                received.extend(
                    answer["messages"]
                        .as_array()
                        .context("no messages")?
                        .clone(),
                );
            } else {
                left += 1;
            }
            drop(poll);
            client.send("", format!("m{nth}")).await?;
        }
        ensure!(left >= COUNT / 2, "{left} polls were left: {received:?}");
        let begun = Instant::now();
        received.extend(client.pull_all(COUNT - received.len()).await?);
        let waited = begun.elapsed().as_millis();
        ensure!(waited < 7_000, "{waited} ms: {received:?}");
        let acks: Vec<_> = received.iter().map(|one| one["handle"].clone()).collect();
        client.settle(&json!({"acks": acks})).await.map(drop)
    })
}

/// Java compresses bodies over 4 KiB.
fn a_compressed_body_is_decompressed(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    // The producer adds a number.
    let name = "compressible ".repeat(1_000);
    let mut producer = it.producer().start()?;
    run(async {
        client.begin().await?;
        let bodies = producer.send(&client.topic, &name, 1, &[])?;
        let message = client.pull_one().await?;
        ensure!(message["body"] == *bodies[0], "{message}");
        client.acknowledge(&message).await
    })?;
    it.stop([producer])
}
