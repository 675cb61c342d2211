//! Sending: raw, in batches, CloudEvents, delays, order, priority.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integration_tests::http_client::Request;
use integration_tests::rocketmq::MessageType;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::common::{Client, bodies, run, text};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("a_message_keeps_what_it_has", a_message_keeps_what_it_has),
    ("bodies_are_unharmed", bodies_are_unharmed),
    (
        "a_batch_has_a_result_per_entry",
        a_batch_has_a_result_per_entry,
    ),
    (
        "events_come_back_in_binary_mode",
        events_come_back_in_binary_mode,
    ),
    (
        "a_delayed_message_is_recalled",
        a_delayed_message_is_recalled,
    ),
    (
        "messages_of_a_group_are_in_order",
        messages_of_a_group_are_in_order,
    ),
    ("a_message_has_a_priority", a_message_has_a_priority),
    ("namespaces_are_apart", namespaces_are_apart),
];

fn a_message_keeps_what_it_has(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        let request = client
            .sending("?tag=a&key=k1&key=k2&property=Color=red", "text")
            .header("content-type", "text/plain; charset=utf-8")
            .header("idempotency-key", "\"id-1\"")
            .header("x-mq-property-%d1%86", "%D0%B5%25");
        let sent = client.expect(201, &request).await?.json()?;
        ensure!(sent["messageId"] == "id-1", "{sent}");
        let message = client.pull_one().await?;
        let expected = json!({
            "messageId": "id-1",
            "topic": client.topic,
            "body": "text",
            "contentType": "text/plain; charset=utf-8",
            "tag": "a",
            "keys": ["k1", "k2"],
            "properties": {"Color": "red", "ц": "е%"},
            "attempt": 1,
            "queue": sent["queue"],
            "offset": sent["offset"],
        });
        for (name, value) in expected.as_object().context("an object")? {
            ensure!(message[name] == *value, "{name}: {message}");
        }
        client.acknowledge(&message).await?;
        // As it is, with metadata in headers.
        client.expect(201, &request).await?;
        let path = client.group_path("/messages:pull?single&wait=10s");
        let single = client
            .expect(200, &Request::new("POST", path.as_str()))
            .await?;
        ensure!(single.body == "text", "{single:?}");
        for (name, value) in [
            ("content-type", "text/plain; charset=utf-8"),
            ("x-mq-message-id", "id-1"),
            ("x-mq-tag", "a"),
            ("x-mq-property-%43olor", "red"),
            ("x-mq-property-%d1%86", "%D0%B5%25"),
            ("x-mq-attempt", "1"),
        ] {
            ensure!(single.header(name) == value, "{name}: {single:?}");
        }
        let handle = json!({"handle": single.header("x-mq-handle")});
        client.acknowledge(&handle).await?;
        client
            .expect(
                204,
                &Request::new("POST", client.group_path("/messages:pull?single")),
            )
            .await?;
        Ok(())
    })
}

fn bodies_are_unharmed(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        let mut bytes: Vec<u8> = (0..=255).collect();
        let large: Vec<u8> = (0..4 << 20).map(|nth: u32| (nth % 251) as u8).collect();
        for body in [
            bytes.clone(),
            b"\0".to_vec(),
            "ключ\r\n\u{1}\"\\".into(),
            large,
        ] {
            client.send("", body.clone()).await?;
            let message = client.pull_one().await?;
            let got = match message["body"].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => decoded(text(&message, "bodyBase64")?)?,
            };
            ensure!(got == body, "{} bytes instead of {}", got.len(), body.len());
            client.acknowledge(&message).await?;
            client.send("", body.clone()).await?;
            let path = client.group_path("/messages:pull?single&wait=10s");
            let single = client
                .expect(200, &Request::new("POST", path.as_str()))
                .await?;
            ensure!(single.body == body, "{} bytes", single.body.len());
            let handle = json!({"handle": single.header("x-mq-handle")});
            client.acknowledge(&handle).await?;
        }
        bytes.resize((4 << 20) + 1, 0);
        let problem = client
            .expect_problem("message_too_large", &client.sending("", bytes))
            .await?;
        ensure!(problem["status"] == 413, "{problem}");
        Ok(())
    })
}

fn a_batch_has_a_result_per_entry(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        let path = client.topic_path("/messages:batch");
        let batch = json!({"messages": [
            {"body": "a", "tag": "t"},
            {"bodyBase64": "Yg=="},
            {"body": "x", "tags": "unknown"},
            {"json": {"c": 1}},
            {"body": "d", "keys": ["k"], "properties": {"A": "1"}},
        ]});
        let request = Request::new("POST", path.as_str()).body(batch.to_string());
        let results = client.expect(200, &request).await?.json()?;
        let results = results["results"].as_array().context("results")?.clone();
        let is_sent: Vec<_> = results
            .iter()
            .map(|one| one.get("error").is_none())
            .collect();
        ensure!(is_sent == [true, true, false, true, true], "{results:?}");
        ensure!(results[2]["error"]["code"] == "body_invalid", "{results:?}");
        let sent = results
            .iter()
            .filter_map(|one| one["offsetMessageId"].as_str());
        ensure!(sent.clone().all(|id| id.len() == 32), "{results:?}");
        ensure!(sent.collect::<BTreeSet<_>>().len() == 4, "{results:?}");
        let lines = Request::new("POST", path.as_str())
            .header("content-type", "application/x-ndjson")
            .body("{\"body\":\"e\"}\n{\"body\":\"f\"}\n");
        client.expect(200, &lines).await?;
        let messages = client.pull_all(6).await?;
        let got = bodies(&messages);
        ensure!(got == ["a", "b", "d", "e", "f", "{\"c\":1}"], "{got:?}");
        let handles: Vec<_> = messages.iter().map(|message| &message["handle"]).collect();
        let results = client.settle(&json!({"acks": handles})).await?;
        ensure!(results.iter().all(|one| one["ok"] == true), "{results:?}");
        // As many as are allowed, and one more.
        let many = |count: usize| "{\"body\":\"m\"}\n".repeat(count);
        let many_lines = |count| lines.clone().body(many(count));
        let results = client.expect(200, &many_lines(1024)).await?.json()?;
        let results = results["results"].as_array().context("results")?;
        ensure!(
            results.iter().all(|one| one.get("error").is_none()),
            "{results:?}"
        );
        client
            .expect_problem("body_invalid", &many_lines(1025))
            .await?;
        let other = lines.clone().header("content-type", "text/plain");
        client.expect_problem("request_invalid", &other).await?;
        let other = Request::new("POST", path.as_str()).header("content-type", "text/plain");
        client
            .expect_problem("media_type_unsupported", &other.body("x"))
            .await?;
        let large = Request::new("POST", path.as_str()).body(vec![b' '; (16 << 20) + 1]);
        client.expect_problem("message_too_large", &large).await?;
        Ok(())
    })
}

fn events_come_back_in_binary_mode(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        let event = |id: &str| {
            json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t", "subject": "тема",
                   "data": {"a": 1}})
        };
        let binary = client
            .sending("", "{\"a\":1}")
            .header("content-type", "application/json")
            .header("ce-specversion", "1.0")
            .header("ce-id", "1")
            .header("ce-source", "/s")
            .header("ce-type", "t")
            .header("ce-subject", "%D1%82%D0%B5%D0%BC%D0%B0");
        let structured = client
            .sending("", event("2").to_string())
            .header("content-type", "application/cloudevents+json");
        let path = client.topic_path("/messages:batch");
        let batched = Request::new("POST", path.as_str())
            .header("content-type", "application/cloudevents-batch+json")
            .body(json!([event("3"), {"id": "4"}]).to_string());
        for (request, id) in [(&binary, "1"), (&structured, "2"), (&batched, "3")] {
            let answer = client.call(request).await?;
            ensure!(answer.status < 300, "{answer:?}");
            let path = client.group_path("/messages:pull?single&wait=10s");
            let single = client
                .expect(200, &Request::new("POST", path.as_str()))
                .await?;
            ensure!(single.body == "{\"a\":1}", "{single:?}");
            for (name, value) in [
                ("ce-id", id),
                ("ce-specversion", "1.0"),
                ("ce-subject", "%D1%82%D0%B5%D0%BC%D0%B0"),
                ("content-type", "application/json"),
            ] {
                ensure!(single.header(name) == value, "{name}: {single:?}");
            }
            let handle = json!({"handle": single.header("x-mq-handle")});
            client.acknowledge(&handle).await?;
        }
        let avro = client
            .sending("", "x")
            .header("content-type", "application/cloudevents+avro");
        client
            .expect_problem("media_type_unsupported", &avro)
            .await?;
        Ok(())
    })
}

fn a_delayed_message_is_recalled(it: &Scenario<'_>) -> Result<()> {
    let topic = it.name("delay");
    it.cluster()
        .create_typed_topic(&topic, MessageType::Delay, 2)?;
    let client = Client::with_topic(it, &topic)?;
    run(async {
        client.begin().await?;
        let recalled = client.send("?delay=5s", "recalled").await?;
        let begun = Instant::now();
        client.send("?delay=6s", "kept").await?;
        let handle = text(&recalled, "recallHandle")?;
        let request = Request::new("DELETE", format!("/v1/recalls/{handle}"));
        let answer = client.expect(200, &request).await?.json()?;
        ensure!(answer["messageId"] == recalled["messageId"], "{answer}");
        let message = client.pull_one().await?;
        let waited = begun.elapsed().as_secs();
        ensure!(
            message["body"] == "kept" && (4..=20).contains(&waited),
            "{waited} {message}"
        );
        ensure!(message.get("deliverAt").is_some(), "{message}");
        client.acknowledge(&message).await?;
        client.expect_problem("not_recallable", &request).await?;
        let forged = Request::new("DELETE", "/v1/recalls/x");
        client.expect_problem("token_invalid", &forged).await?;
        // The wrong type for this topic.
        let other = client.sending("", "x");
        client
            .expect_problem("message_type_conflict", &other)
            .await?;
        let far = client.sending("?at=2099-01-01T00:00:00Z", "x");
        client.expect_problem("request_invalid", &far).await?;
        Ok(())
    })
}

fn messages_of_a_group_are_in_order(it: &Scenario<'_>) -> Result<()> {
    let topic = it.name("fifo");
    it.cluster()
        .create_typed_topic(&topic, MessageType::Fifo, 4)?;
    let client = Client::with_topic(it, &topic)?;
    run(async {
        client.begin().await?;
        let mut queues = Vec::new();
        for nth in 0..6 {
            let sent = client.send("?group=g", nth.to_string()).await?;
            queues.push(sent["queue"].clone());
        }
        queues.dedup();
        ensure!(queues.len() == 1, "{queues:?}");
        let messages = client.pull_all(6).await?;
        let got: Vec<_> = messages
            .iter()
            .filter_map(|message| message["body"].as_str())
            .collect();
        ensure!(got == ["0", "1", "2", "3", "4", "5"], "{got:?}");
        ensure!(
            messages.iter().all(|message| message["group"] == "g"),
            "{messages:?}"
        );
        Ok(())
    })
}

fn a_message_has_a_priority(it: &Scenario<'_>) -> Result<()> {
    let topic = it.name("priority");
    it.cluster()
        .create_typed_topic(&topic, MessageType::Priority, 2)?;
    let client = Client::with_topic(it, &topic)?;
    run(async {
        client.begin().await?;
        client.send("?priority=3", "x").await?;
        let message = client.pull_one().await?;
        ensure!(message["priority"] == 3, "{message}");
        client.acknowledge(&message).await
    })
}

fn namespaces_are_apart(it: &Scenario<'_>) -> Result<()> {
    let topic = it.name("topic");
    for name in [format!("one%{topic}"), format!("two%{topic}")] {
        it.cluster().create_topic(&name, 2)?;
    }
    let client = Client::with_topic(it, &topic)?;
    run(async {
        let of = |request: Request, namespace: &str| request.header("x-mq-namespace", namespace);
        for namespace in ["one", "two"] {
            client
                .expect(200, &of(client.pulling(&json!({})), namespace))
                .await?;
        }
        client
            .expect(201, &of(client.sending("", "m"), "one"))
            .await?;
        let pull = client.pulling(&json!({"wait": "2s"}));
        let count = |answer: Value| answer["messages"].as_array().map(Vec::len);
        let answer = client.expect(200, &of(pull.clone(), "two")).await?.json()?;
        ensure!(count(answer) == Some(0));
        let answer = client.expect(200, &of(pull, "one")).await?.json()?;
        ensure!(answer["messages"][0]["topic"] == topic, "{answer}");
        ensure!(count(answer) == Some(1));
        Ok(())
    })
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    let decoded = STANDARD.decode(text);
    decoded.map_err(|error| anyhow::anyhow!("{text}: {error}"))
}
