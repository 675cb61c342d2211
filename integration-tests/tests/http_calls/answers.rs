//! Paths, methods, bodies, and the description of topics.

use anyhow::{Context as _, Result};
use remoting_codec::RequestCode;
use serde_json::json;

use crate::{World, statuses};

#[tokio::test]
async fn topics_are_described_without_addresses() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let answer = world.ask("GET", "/v1/topics/both", "").await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let broker = |name| json!({"broker": name, "readQueues": 4, "writeQueues": 4});
    let expected = json!({
        "topic": "both",
        "type": "fifo",
        "brokers": [broker("broker-a"), broker("broker-b")],
    });
    assert_eq!(answer.json()?, expected);
    assert!(!answer.body.contains("127.0.0.1"));
    // A second time from memory, for the configuration too.
    world.ask("GET", "/v1/topics/both", "").await?;
    let asked = world.a.received(RequestCode::GET_TOPIC_CONFIG).len();
    assert!(asked <= 1, "{asked}");
    // A namespace, and its like.
    let namespace = "x-mq-namespace: space\r\n";
    let answer = world.ask("GET", "/v1/topics/one", namespace).await?;
    let found = answer.json()?;
    assert_eq!(found["brokers"], json!([broker("broker-b")]), "{found}");
    for (target, headers, status, code) in [
        ("/v1/topics/none", "", 404, "topic_not_found"),
        ("/v1/topics/a%20b", "", 400, "request_invalid"),
        ("/v1/topics/%zz", "", 400, "request_invalid"),
        ("/v1/topics/TBW102", "", 400, "request_invalid"),
        ("/v1/topics/one?page=2", "", 400, "request_invalid"),
        (
            "/v1/topics/one",
            "x-mq-namespace: a%b\r\n",
            400,
            "request_invalid",
        ),
        (
            "/v1/topics/one",
            "x-mq-namespace: a\r\nx-mq-namespace: a\r\n",
            400,
            "request_invalid",
        ),
    ] {
        let answer = world.ask("GET", target, headers).await?;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        assert_eq!(answer.code()?, code, "{target}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_topic_whose_brokers_do_not_answer_is_described() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    world.a.stop().await;
    let answer = world.ask("GET", "/v1/topics/one", "").await?;
    let found = answer.json()?;
    assert_eq!((answer.status, &found["type"]), (200, &json!("unknown")));
    Ok(())
}

#[tokio::test]
async fn without_a_name_server_a_client_may_come_later() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    world.name_server.stop().await;
    let answer = world.ask("GET", "/v1/topics/other", "").await?;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.code()?, "name_server_unavailable");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn paths_that_there_are_none_of_are_problems() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    for target in [
        "/",
        "/v1",
        "/v1/",
        "/v2/topics/one",
        "/v1/topics/",
        "/v1/topics/one/",
        "/favicon.ico",
        "/healthz",
        "/metrics",
        "/apache.rocketmq.v2.MessagingService/SendMessage",
        "http://x/nothing",
        "*",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = world.ask(method, target, "").await?;
            assert_eq!(answer.status, 404, "{method} {target}: {answer:?}");
            assert_eq!(answer.code()?, "path_not_found");
        }
    }
    Ok(())
}

#[tokio::test]
async fn methods_are_those_of_the_path() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    for (target, allow) in [
        ("/v1/topics/one", "GET, HEAD, OPTIONS"),
        ("/v1/openapi.json", "GET, HEAD, OPTIONS"),
        ("/v1/topics/one/messages", "POST, OPTIONS"),
        ("/v1/topics/one/groups/g/messages/h", "DELETE, OPTIONS"),
    ] {
        let answer = world.ask("OPTIONS", target, "").await?;
        assert_eq!((answer.status, answer.header("allow")), (204, Some(allow)));
        assert_eq!(answer.header("content-length"), None, "{answer:?}");
        for method in ["PUT", "PATCH", "CONNECT"] {
            let answer = world.ask(method, target, "").await?;
            assert_eq!(answer.status, 405, "{method} {target}: {answer:?}");
            assert_eq!(answer.header("allow"), Some(allow));
            assert_eq!(answer.code()?, "method_not_allowed");
        }
    }
    let answer = world.ask("OPTIONS", "*", "").await?;
    assert_eq!(answer.status, 204, "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn head_has_the_headers_of_get() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let mut client = world.connect().await?;
    for target in ["/v1/topics/both", "/v1/openapi.json", "/v1/topics/none"] {
        let request = |method| format!("{method} {target} HTTP/1.1\r\nhost: x\r\n\r\n");
        client.write(request("GET")).await?;
        let full = client.answer(false).await?.context("no answer")?;
        client.write(request("HEAD")).await?;
        let head = client.answer(true).await?.context("no answer")?;
        assert_eq!(head.status, full.status, "{target}");
        let length = full.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(&*length), "{target}");
        assert_eq!(head.header("content-type"), full.header("content-type"));
    }
    // Nothing of a body has come.
    client
        .write("GET /v1/topics/one HTTP/1.1\r\nhost: x\r\n\r\n")
        .await?;
    assert_eq!(
        client.answer(false).await?.context("no answer")?.status,
        200
    );
    Ok(())
}

#[tokio::test]
async fn bodies_are_read_before_the_next_request_or_end_the_connection() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let post = |rest: &str| format!("POST /v1/topics/one/messages HTTP/1.1\r\nhost: x\r\n{rest}");
    let get = "GET /v1/topics/one HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    // One that is read.
    let all = post("content-length: 5\r\n\r\nhello") + get;
    let answers = world.exchange(all).await?;
    // Whatever becomes of the message.
    assert!(matches!(*statuses(&answers), [_, 200]), "{answers:?}");
    // Those that are not, because they are encoded, too long or for another method.
    let encoded = post("content-encoding: br\r\ncontent-length: 5\r\n\r\nhello");
    let long = post("content-length: 16777217\r\n\r\n") + &"x".repeat(100_000);
    let put = "PUT /v1/topics/one HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello".to_owned();
    for (request, status, code) in [
        (encoded, 415, "media_type_unsupported"),
        (long, 413, "message_too_large"),
        (put, 405, "method_not_allowed"),
    ] {
        let answers = world.exchange(request + get).await?;
        assert_eq!(statuses(&answers), [status], "{answers:?}");
        assert_eq!(answers[0].code()?, code);
        assert_eq!(answers[0].header("connection"), Some("close"));
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_waits_for_the_word_is_asked_for_or_refused() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let expecting = |length: usize| {
        format!(
            "POST /v1/topics/one/messages HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\n\r\n"
        )
    };
    let mut client = world.connect().await?;
    client.write(expecting(5)).await?;
    let go_on = client.answer(true).await?.context("no answer")?;
    assert_eq!(go_on.status, 100, "{go_on:?}");
    client.write("hello").await?;
    client.answer(false).await?.context("no answer")?;
    // No word for a body that will not be taken.
    client.write(expecting(1 << 30)).await?;
    let refused = client.rest().await?;
    assert_eq!(statuses(&refused), [413], "{refused:?}");
    Ok(())
}
