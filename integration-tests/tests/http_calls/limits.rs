//! Clients that are slow, or send too much.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

use crate::{Client, World, statuses};

const QUICK: &str = "admin = \"127.0.0.1:0\"\nworkers = 1\n[limits]\nframe_ms = 1000\n\
                     handshake_ms = 1500\nidle_ms = 4000\n";

async fn hits(world: &World, limit: &str) -> Result<bool> {
    let metrics = world.proxy.admin("GET /metrics").await?;
    let name = format!("limit=\"{limit}_ms\"");
    let hits = metrics
        .lines()
        .find(|line| line.starts_with("rocketmq_proxy_limit_hits_total") && line.contains(&name));
    Ok(hits.is_some_and(|line| !line.ends_with(" 0")))
}

#[tokio::test]
async fn heads_have_a_limit_of_bytes_and_number() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let long = "x".repeat(9 * 1024);
    for head in [
        format!("GET /v1/topics/one HTTP/1.1\r\nhost: x\r\na: {long}\r\n\r\n"),
        format!("GET /v1/topics/{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!(
            "GET /v1/topics/one HTTP/1.1\r\nhost: x\r\n{}\r\n",
            "a: b\r\n".repeat(110)
        ),
        // It never ends.
        format!("GET /v1/topics/one HTTP/1.1\r\nhost: x\r\na: {long}"),
    ] {
        let answers = world.exchange(head).await?;
        assert_eq!(statuses(&answers), [431], "{answers:?}");
    }
    let allowed = "x".repeat(7 * 1024);
    let answer = world
        .ask("GET", "/v1/topics/one", &format!("a: {allowed}\r\n"))
        .await?;
    assert_eq!(answer.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_slow_head_ends_the_connection() -> Result<()> {
    let world = World::with(QUICK).await?;
    let whole = "GET /v1/topics/one HTTP/1.1\r\nhost: x\r\n\r\n";
    // The first on a connection, and one behind another.
    for before in [false, true] {
        let mut client = world.connect().await?;
        if before {
            client.write(whole).await?;
            assert_eq!(
                client.answer(false).await?.context("no answer")?.status,
                200
            );
        }
        let begun = Instant::now();
        let mut bytes = whole.bytes().cycle();
        // A byte each 100 ms: it is not idle.
        let ended = loop {
            let byte = bytes.next().context("a byte")?;
            let written = client.write([byte]).await;
            if written.is_err() || client.closes_within(Duration::from_millis(100)).await? {
                break begun.elapsed();
            }
            assert!(begun.elapsed() < Duration::from_secs(6), "it goes on");
        };
        assert!(ended > Duration::from_millis(900), "{ended:?}");
    }
    assert!(hits(&world, "frame").await?);
    Ok(())
}

#[tokio::test]
async fn a_slow_body_is_answered() -> Result<()> {
    let world = World::with(QUICK).await?;
    let mut client = world.connect().await?;
    let head = "POST /v1/topics/one/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n";
    client.write(head).await?;
    let begun = Instant::now();
    let (mut reading, mut writing) = client.stream.into_split();
    let trickle = tokio::spawn(async move {
        while tokio::io::AsyncWriteExt::write_all(&mut writing, b"x")
            .await
            .is_ok()
        {
            sleep(Duration::from_millis(100)).await;
            if begun.elapsed() > Duration::from_secs(8) {
                break;
            }
        }
    });
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut reading, &mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("\"code\":\"request_timeout\""), "{answer}");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(reading);
    trickle.await?;
    Ok(())
}

#[tokio::test]
async fn idle_connections_stay_for_the_idle_time() -> Result<()> {
    let world = World::with(QUICK).await?;
    let mut client = world.connect().await?;
    let whole = "GET /v1/topics/one HTTP/1.1\r\nhost: x\r\n\r\n";
    for _ in 0..2 {
        client.write(whole).await?;
        assert_eq!(
            client.answer(false).await?.context("no answer")?.status,
            200
        );
        // Longer than a frame may take, and a handshake.
        sleep(Duration::from_millis(2_500)).await;
    }
    let begun = Instant::now();
    assert!(client.closes_within(Duration::from_secs(6)).await?);
    assert!(begun.elapsed() > Duration::from_secs(1));
    assert!(hits(&world, "idle").await?);
    // One that says nothing at all, as any client.
    let mut silent = world.connect().await?;
    assert!(silent.closes_within(Duration::from_secs(4)).await?);
    Ok(())
}

#[tokio::test]
async fn a_client_that_does_not_read_ends() -> Result<()> {
    let world = World::with(QUICK).await?;
    let mut client: Client = world.connect().await?;
    let request = "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
    let begun = Instant::now();
    // Some 80 KB each, of which nothing is read.
    let sending = async {
        loop {
            if client.write(request.repeat(100)).await.is_err() {
                return;
            }
        }
    };
    let sent = tokio::time::timeout(Duration::from_secs(10), sending).await;
    assert!(sent.is_ok(), "it goes on for {:?}", begun.elapsed());
    assert!(hits(&world, "frame").await?);
    Ok(())
}
