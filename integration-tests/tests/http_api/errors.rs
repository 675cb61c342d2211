//! What is refused, and how.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use integration_tests::fake::{FakeBroker, FakeNameServer, ProxyUnderTest, Reply};
use integration_tests::http_client::{Answer, Request};
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use remoting_codec::RequestCode;
use serde_json::{Value, json};

use crate::common::{Client, run};
use crate::contract;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    (
        "pages_of_other_origins_are_refused",
        pages_of_other_origins_are_refused,
    ),
    ("an_allowed_page_may_send", an_allowed_page_may_send),
    ("unknown_topics_are_not_found", unknown_topics_are_not_found),
    ("paths_and_methods_are_strict", paths_and_methods_are_strict),
    (
        "a_send_without_an_answer_is_unknown",
        a_send_without_an_answer_is_unknown,
    ),
    ("bodies_may_be_compressed", bodies_may_be_compressed),
    ("all_is_described", all_is_described),
];

/// One request for each operation.
fn operations(client: &Client) -> Vec<Request> {
    [
        ("POST", client.topic_path("/messages")),
        ("POST", client.topic_path("/messages:batch")),
        ("POST", client.group_path("/messages:pull")),
        ("POST", client.group_path("/messages:ack")),
        ("DELETE", client.group_path("/messages/h")),
        ("GET", client.group_path("/events")),
        ("POST", "/v1/transactions/t:commit".to_owned()),
        ("POST", "/v1/transactions/t:rollback".to_owned()),
        ("POST", client.topic_path("/transactions:check")),
        ("DELETE", "/v1/recalls/r".to_owned()),
        ("POST", client.topic_path("/requests")),
        ("POST", "/v1/replies/r".to_owned()),
        ("GET", client.topic_path("")),
    ]
    .into_iter()
    .map(|(method, path)| Request::new(method, path))
    .collect()
}

fn pages_of_other_origins_are_refused(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        for request in operations(&client) {
            let of_page = request.clone().header("origin", "https://evil.example");
            client.expect_problem("forbidden", &of_page).await?;
            let of_image = request.header("sec-fetch-site", "cross-site");
            client.expect_problem("forbidden", &of_image).await?;
        }
        Ok(())
    })
}

fn an_allowed_page_may_send(_: &Scenario<'_>) -> Result<()> {
    run(async {
        let broker = FakeBroker::start("a").await?;
        let name_server = FakeNameServer::start(&[&broker]).await?;
        name_server.add_topic("one", &["a"]);
        let file = "[http]\ncors = [\"https://app.example\"]\n";
        let proxy = ProxyUnderTest::start(&[name_server.address()], file)?;
        let origin = "https://app.example";
        let path = "/v1/topics/one";
        let asking = Request::new("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "x-mq-namespace");
        let answer = asking.send(proxy.address()).await?;
        ensure!(answer.status == 204, "{answer:?}");
        for (name, value) in [
            ("access-control-allow-origin", origin),
            ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
            ("access-control-allow-headers", "x-mq-namespace"),
            ("vary", "origin"),
        ] {
            ensure!(answer.header(name) == value, "{name}: {answer:?}");
        }
        let request = Request::new("GET", path).header("origin", origin);
        let answer = request.send(proxy.address()).await?;
        contract::check(&request, &answer)?;
        ensure!(answer.status == 200, "{answer:?}");
        ensure!(
            answer.header("access-control-allow-origin") == origin,
            "{answer:?}"
        );
        // A page may read why it was refused, too.
        let request = Request::new("GET", "/v1/topics/none").header("origin", origin);
        let answer = request.send(proxy.address()).await?;
        ensure!(answer.status == 404, "{answer:?}");
        ensure!(
            answer.header("access-control-allow-origin") == origin,
            "{answer:?}"
        );
        proxy.stop()
    })
}

fn unknown_topics_are_not_found(it: &Scenario<'_>) -> Result<()> {
    let client = Client {
        topic: it.name("nowhere"),
        ..Client::new(it)?
    };
    run(async {
        let batch = json!({"messages": [{"body": "m"}]}).to_string();
        for (request, body) in operations(&client).into_iter().zip([
            "m", &batch, "", "-", "-", "", "-", "-", "", "-", "m", "-", "",
        ]) {
            if body != "-" {
                let request = request.body(body.to_owned());
                client.expect_problem("topic_not_found", &request).await?;
            }
        }
        // Names that no topic can have.
        let wrong = Client {
            topic: "a%20b".to_owned(),
            ..client
        };
        for (request, body) in operations(&wrong)
            .into_iter()
            .zip(["m", &batch, "", "", "", "", "-", "-", "", "-", "m", "-", ""])
        {
            if body != "-" {
                let request = request.body(body.to_owned());
                wrong.expect_problem("request_invalid", &request).await?;
            }
        }
        Ok(())
    })
}

fn paths_and_methods_are_strict(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        for (method, path, code) in [
            ("GET", "/v1/topics".to_owned(), "path_not_found"),
            ("GET", "/v1/".to_owned(), "path_not_found"),
            ("GET", "/".to_owned(), "path_not_found"),
            ("GET", "/v1/topics/%zz".to_owned(), "request_invalid"),
            ("PUT", client.topic_path("/messages"), "method_not_allowed"),
            (
                "GET",
                client.group_path("/messages:pull"),
                "method_not_allowed",
            ),
        ] {
            let request = Request::new(method, path);
            client.expect_problem(code, &request).await?;
        }
        for request in operations(&client) {
            let other = Request::new("OPTIONS", request.target.clone());
            let answer = client.expect(204, &other).await?;
            ensure!(
                answer.header("allow").contains(request.method),
                "{answer:?}"
            );
        }
        let head = Request::new("HEAD", client.topic_path(""));
        let answer = client.expect(200, &head).await?;
        let length: usize = answer.header("content-length").parse()?;
        ensure!(answer.body.is_empty() && length > 10, "{answer:?}");
        // A parameter that there is none of.
        for request in operations(&client) {
            let target = format!("{}?unknown=1", request.target);
            let request = Request { target, ..request };
            client.expect_problem("request_invalid", &request).await?;
        }
        Ok(())
    })
}

fn a_send_without_an_answer_is_unknown(_: &Scenario<'_>) -> Result<()> {
    run(async {
        let broker = FakeBroker::start("a").await?;
        broker.on(RequestCode::SEND_MESSAGE_V2, Reply::Silence);
        let name_server = FakeNameServer::start(&[&broker]).await?;
        name_server.add_topic("one", &["a"]);
        let proxy = ProxyUnderTest::start(&[name_server.address()], "")?;
        let request = Request::new("POST", "/v1/topics/one/messages").body("m");
        let answer = request.send(proxy.address()).await?;
        contract::check(&request, &answer)?;
        let problem = answer.json()?;
        ensure!(
            answer.status == 504 && problem["outcome"] == "unknown",
            "{problem}"
        );
        // Nothing was done: the broker is not there.
        broker.stop().await;
        let answer = unavailable(&request, &proxy).await?;
        ensure!(answer.json()?.get("outcome").is_none(), "{answer:?}");
        proxy.stop()
    })
}

/// The answer when the broker is known to be away.
async fn unavailable(request: &Request, proxy: &ProxyUnderTest) -> Result<Answer> {
    for _ in 0..20 {
        let answer = request.send(proxy.address()).await?;
        contract::check(request, &answer)?;
        if answer.status == 503 {
            ensure!(answer.header("retry-after") == "1", "{answer:?}");
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    anyhow::bail!("the broker is not taken for away")
}

fn bodies_may_be_compressed(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    let compressed = |bytes: &[u8]| -> Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes)?;
        Ok(encoder.finish()?)
    };
    run(async {
        client.begin().await?;
        let body = "text ".repeat(1_000);
        let gzip = |body: Vec<u8>| client.sending("", body).header("content-encoding", "gzip");
        for _ in 0..8 {
            let sending = gzip(compressed(body.as_bytes())?);
            client.expect(201, &sending).await?;
        }
        let asked = json!({"wait": "10s", "max": 32});
        let pull = client.pulling(&asked).header("accept-encoding", "gzip");
        let mut left: usize = 8;
        while left > 0 {
            let answer = pull.send(client.address).await?;
            ensure!(answer.header("content-encoding") == "gzip", "{answer:?}");
            ensure!(answer.body.len() < 4_000, "{} bytes", answer.body.len());
            let mut plain = String::new();
            let mut decoder = flate2::read::GzDecoder::new(&*answer.body);
            std::io::Read::read_to_string(&mut decoder, &mut plain)?;
            let document: Value = serde_json::from_str(&plain)?;
            let messages = document["messages"].as_array().context("no messages")?;
            for message in messages {
                ensure!(message["body"] == *body, "{message}");
                client.acknowledge(message).await?;
            }
            left = left.saturating_sub(messages.len());
        }
        // 64 MiB of zeros, no gzip, and another coding.
        let bomb = compressed(&vec![0; 64 << 20])?;
        client
            .expect_problem("message_too_large", &gzip(bomb))
            .await?;
        client
            .expect_problem("body_invalid", &gzip(b"plain".to_vec()))
            .await?;
        let other = client.sending("", "x").header("content-encoding", "br");
        client
            .expect_problem("media_type_unsupported", &other)
            .await?;
        Ok(())
    })
}

fn all_is_described(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        let request = Request::new("GET", "/v1/openapi.json");
        let document = client.expect(200, &request).await?.json()?;
        ensure!(document["openapi"] == "3.1.0", "{document}");
        let described = client
            .expect(200, &Request::new("GET", client.topic_path("")))
            .await?;
        let described = described.json()?;
        ensure!(described["type"] == "normal", "{described}");
        ensure!(
            described["brokers"].as_array().map(Vec::len) == Some(2),
            "{described}"
        );
        Ok(())
    })
}
