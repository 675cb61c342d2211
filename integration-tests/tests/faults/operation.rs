//! What an operator relies on: the drain, the breaker, limits, and the admin listener's answers.

use std::time::Duration;

use anyhow::{Context, Result};
use integration_tests::fake::{RawClient, Reply, request};
use proxy_server::Signal;
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType, Version};
use tokio::time::{Instant, sleep};

use crate::World;
use crate::membership::pull;
use crate::relay::send;

const DRAIN: &str =
    "admin = \"127.0.0.1:0\"\n[drain]\nwait_ms = 300\ntime_ms = 500\ndeadline_ms = 5000\n";

fn of_version(command: RemotingCommand, version: Version) -> RemotingCommand {
    RemotingCommand { version, ..command }
}

/// The value of a metric whose line starts with `start`.
pub(crate) fn figure(text: &str, start: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(start))?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn wait_closed(client: &mut RawClient, limit: Duration) -> Result<()> {
    let closed = tokio::time::timeout(limit, client.is_closed());
    anyhow::ensure!(
        closed.await.context("not closed in time")??,
        "something came"
    );
    Ok(())
}

#[tokio::test]
async fn a_drain_tells_new_clients_and_ends_old_ones_behind_an_answer() -> Result<()> {
    let world = World::with(DRAIN).await?;
    world.a.on(RequestCode::PULL_MESSAGE, Reply::Silence);
    let mut new = world.proxy.client().await?;
    let mut old = world.proxy.client().await?;
    let new_send = |opaque| of_version(send(opaque, "both", "broker-a"), Version::V5_5_0);
    let old_send = |opaque| of_version(send(opaque, "both", "broker-a"), Version::V4_9_5);
    assert_eq!(new.call(&new_send(1)).await?.code, 0);
    assert_eq!(old.call(&old_send(1)).await?.code, 0);
    old.send(&of_version(pull(2), Version::V4_9_5)).await?;
    world.a.wait_received(RequestCode::PULL_MESSAGE, 1).await?;
    assert!(world.proxy.admin("GET /readyz").await?.contains("200 OK"));

    world.proxy.signal(Signal::Drain);
    sleep(Duration::from_millis(100)).await;
    let ready = world.proxy.admin("GET /readyz").await?;
    assert!(
        ready.contains("503") && ready.contains("draining"),
        "{ready}"
    );
    // Balancers may not have noticed: everything is served, and every client is accepted.
    let mut late = world.proxy.client().await?;
    assert_eq!(late.call(&old_send(3)).await?.code, 0);
    assert_eq!(new.call(&new_send(4)).await?.code, 0);

    // The long poll is answered empty, and with that nothing is outstanding.
    let nothing = old.receive().await?;
    assert_eq!(
        (nothing.code, nothing.opaque.0),
        (ResponseCode::PULL_NOT_FOUND.0, 2)
    );
    wait_closed(&mut old, Duration::from_secs(3)).await?;
    let go_away = loop {
        let answer = new.call(&new_send(5)).await?;
        if answer.code != 0 {
            break answer;
        }
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(go_away.code, ResponseCode::GO_AWAY.0);
    wait_closed(&mut new, Duration::from_secs(3)).await?;
    wait_closed(&mut late, Duration::from_secs(3)).await?;
    let begun = Instant::now();
    while !world.proxy.has_ended() {
        assert!(begun.elapsed() < Duration::from_secs(2), "it does not end");
        sleep(Duration::from_millis(10)).await;
    }
    // Nothing that was outstanding is relayed twice.
    assert_eq!(world.a.received(RequestCode::PULL_MESSAGE).len(), 1);
    world.proxy.stop()
}

#[tokio::test]
async fn a_request_that_is_outstanding_holds_a_drain_up_to_its_deadline() -> Result<()> {
    let file = "[drain]\nwait_ms = 0\ntime_ms = 0\ndeadline_ms = 1500\n";
    let world = World::with(file).await?;
    let answer = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json);
    let late = Reply::Late(Duration::from_millis(700), answer.clone());
    world.a.on(RequestCode::SEND_MESSAGE_V2, late);
    let mut client = world.proxy.client().await?;
    client.send(&send(1, "both", "broker-a")).await?;
    world
        .a
        .wait_received(RequestCode::SEND_MESSAGE_V2, 1)
        .await?;
    let never = Reply::Late(Duration::from_secs(60), answer);
    world.b.on(RequestCode::SEND_MESSAGE_V2, never);
    let mut patient = world.proxy.client().await?;
    patient.send(&send(1, "both", "broker-b")).await?;
    world
        .b
        .wait_received(RequestCode::SEND_MESSAGE_V2, 1)
        .await?;
    let begun = Instant::now();
    world.proxy.signal(Signal::Drain);
    assert_eq!(client.receive().await?.code, 0);
    wait_closed(&mut client, Duration::from_millis(500)).await?;
    while !world.proxy.has_ended() {
        sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed();
    assert!(
        took > Duration::from_millis(1400) && took < Duration::from_secs(3),
        "{took:?}"
    );
    Ok(())
}

#[tokio::test]
async fn old_connections_end_when_that_is_asked_for() -> Result<()> {
    let file = "[connection_age]\nmax_ms = 1000\njitter_percent = 0\n";
    let world = World::with(file).await?;
    let mut client = world.proxy.client().await?;
    let begun = Instant::now();
    let command = of_version(send(1, "both", "broker-a"), Version::V4_9_5);
    while client.call(&command).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(3), "it never ends");
        sleep(Duration::from_millis(30)).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(900));
    assert_eq!(world.proxy.client().await?.call(&command).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_answers_nothing_is_refused_at_once_until_it_answers() -> Result<()> {
    let file = "admin = \"127.0.0.1:0\"\nsend_elsewhere = false\n[timeouts]\nsend_ms = 200\n[breaker]\nfailures = 3\nprobe_ms = 200\n";
    let world = World::with(file).await?;
    let mut client = world.proxy.client().await?;
    let to_a = send(1, "both", "broker-a");
    assert_eq!(client.call(&to_a).await?.code, 0);
    for code in [
        RequestCode::SEND_MESSAGE_V2,
        RequestCode::CHECK_CLIENT_CONFIG,
    ] {
        world.a.on(code, Reply::Silence);
    }
    let begun = Instant::now();
    loop {
        let answer = client.call(&to_a).await?;
        if answer.code == ResponseCode::SERVICE_NOT_AVAILABLE.0 {
            break;
        }
        assert_eq!(answer.code, ResponseCode::SYSTEM_BUSY.0, "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "nothing notices");
    }
    assert!(
        begun.elapsed() > Duration::from_secs(2),
        "a broker may pause"
    );
    let written = world.a.received(RequestCode::SEND_MESSAGE_V2).len();
    for _ in 0..10 {
        let begun = Instant::now();
        let answer = client.call(&to_a).await?;
        assert_eq!(answer.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
        assert!(begun.elapsed() < Duration::from_millis(100));
        assert_eq!(client.call(&send(2, "both", "broker-b")).await?.code, 0);
    }
    assert_eq!(
        world.a.received(RequestCode::SEND_MESSAGE_V2).len(),
        written
    );
    let metrics = world.proxy.admin("GET /metrics").await?;
    let failing = metrics.lines().find(|line| {
        line.starts_with("rocketmq_proxy_broker_failing") && line.contains("broker-a")
    });
    assert!(
        failing.is_some_and(|line| line.ends_with(" 1")),
        "{metrics}"
    );
    for code in [
        RequestCode::SEND_MESSAGE_V2,
        RequestCode::CHECK_CLIENT_CONFIG,
    ] {
        world.a.on(code, Reply::Mirror);
    }
    let begun = Instant::now();
    while client.call(&to_a).await?.code != 0 {
        assert!(begun.elapsed() < Duration::from_secs(3), "it stays refused");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_client_with_its_share_outstanding_at_a_broker_is_refused_and_no_other() -> Result<()> {
    let world = World::with("workers = 1\n[limits]\nbroker_outstanding = 64\n").await?;
    world.a.on(RequestCode::SEND_MESSAGE_V2, Reply::Silence);
    let mut greedy = world.proxy.client().await?;
    // Once it is known where brokers are, requests reach them in their order.
    assert_eq!(greedy.call(&send(99, "both", "broker-b")).await?.code, 0);
    for opaque in 0..33 {
        greedy.send(&send(opaque, "both", "broker-a")).await?;
    }
    let refused = greedy.receive().await?;
    assert_eq!(
        (refused.opaque.0, refused.code),
        (32, ResponseCode::SYSTEM_BUSY.0)
    );
    assert_eq!(greedy.call(&send(98, "both", "broker-b")).await?.code, 0);
    let mut other = world.proxy.client().await?;
    let fields = [("topic", "both"), ("queueId", "0"), ("bname", "broker-a")];
    let asked = request(RequestCode::GET_MAX_OFFSET, 7, &fields);
    assert_eq!(other.call(&asked).await?.code, 0);
    // The outstanding requests of a client are forgotten when it has disconnected.
    drop(greedy);
    let mut third = world.proxy.client().await?;
    assert_eq!(third.call(&asked).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn connections_are_limited_in_all_and_by_address() -> Result<()> {
    for (file, limit) in [
        ("connections = 2", "connections"),
        ("connections_per_address = 2", "connections_per_address"),
    ] {
        // All of them on one worker, which takes them in their order.
        let file = format!("admin = \"127.0.0.1:0\"\nworkers = 1\n[limits]\n{file}\n");
        let world = World::with(&file).await?;
        let mut first = world.proxy.client().await?;
        let mut second = world.proxy.client().await?;
        let command = send(1, "both", "broker-a");
        assert_eq!(first.call(&command).await?.code, 0);
        assert_eq!(second.call(&command).await?.code, 0);
        let mut third = world.proxy.client().await?;
        wait_closed(&mut third, Duration::from_secs(2)).await?;
        let metrics = world.proxy.admin("GET /metrics").await?;
        let hit = metrics.lines().find(|line| {
            line.starts_with("rocketmq_proxy_limit_hits_total")
                && line.contains(&format!("limit=\"{limit}\""))
        });
        assert!(hit.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
        drop(first);
        let begun = Instant::now();
        // The place is free again.
        loop {
            let mut again = world.proxy.client().await?;
            if again.call(&command).await.is_ok() {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(2));
        }
        assert_eq!(second.call(&command).await?.code, 0);
    }
    Ok(())
}

#[tokio::test]
async fn who_says_nothing_or_never_ends_a_frame_is_closed() -> Result<()> {
    let file = "[limits]\nhandshake_ms = 1000\nframe_ms = 1500\n";
    let world = World::with(file).await?;
    let mut silent = world.proxy.client().await?;
    let mut dripping = world.proxy.client().await?;
    let mut good = world.proxy.client().await?;
    let command = send(1, "both", "broker-a");
    assert_eq!(dripping.call(&command).await?.code, 0);
    assert_eq!(good.call(&command).await?.code, 0);
    let frame = command.to_bytes();
    let begun = Instant::now();
    let dripped = async {
        for byte in &frame {
            if dripping.send_bytes(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the whole frame was taken");
    };
    let limited = tokio::time::timeout(Duration::from_secs(6), dripped);
    let (dripped, closed) = tokio::join!(limited, wait_closed(&mut silent, Duration::from_secs(4)));
    dripped?;
    closed?;
    assert!(begun.elapsed() > Duration::from_millis(1400));
    assert_eq!(good.call(&command).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn figures_say_what_was_done() -> Result<()> {
    let file = "admin = \"127.0.0.1:0\"\ncluster = \"here\"\nnode_id = \"me\"\n[metrics]\ntopics = [\"both\"]\n";
    let world = World::with(file).await?;
    let mut client = world.proxy.client().await?;
    for opaque in 0..5 {
        assert_eq!(
            client.call(&send(opaque, "both", "broker-a")).await?.code,
            0
        );
    }
    assert_eq!(client.call(&send(9, "one", "broker-a")).await?.code, 0);
    assert_ne!(
        client
            .call(&request(RequestCode(9999), 10, &[]))
            .await?
            .code,
        0
    );
    let text = world.proxy.admin("GET /metrics").await?;
    assert!(text.contains("text/plain; version=0.0.4"), "{text}");
    let value = |start: &str, labels: &[&str]| {
        let mut lines = text.lines().filter(|line| {
            line.starts_with(start) && labels.iter().all(|label| line.contains(label))
        });
        let line = lines
            .next()
            .with_context(|| format!("no {start} {labels:?}\n{text}"))?;
        Ok::<f64, anyhow::Error>(line.rsplit(' ').next().unwrap().parse()?)
    };
    let ours = "rocketmq_proxy_request_duration_seconds_count{";
    let sent = [
        "code=\"SEND_MESSAGE_V2\"",
        "result=\"SUCCESS\"",
        "cluster=\"here\"",
        "node_id=\"me\"",
    ];
    assert_eq!(value(ours, &sent)?, 6.0);
    let unknown = ["code=\"other\"", "result=\"REQUEST_CODE_NOT_SUPPORTED\""];
    assert_eq!(value(ours, &unknown)?, 1.0);
    let topic = [
        "topic=\"both\"",
        "message_type=\"normal\"",
        "node_type=\"proxy\"",
    ];
    assert_eq!(value("rocketmq_messages_in_total{", &topic)?, 5.0);
    assert_eq!(value("rocketmq_throughput_in_total{", &topic)?, 25.0);
    assert_eq!(
        value("rocketmq_messages_in_total{", &["topic=\"other\""])?,
        1.0
    );
    let latency = [
        "request_code=\"send_message_v2\"",
        "response_code=\"success\"",
        "le=\"3000.0\"",
    ];
    assert_eq!(value("rocketmq_rpc_latency_bucket{", &latency)?, 6.0);
    // Without it, Prometheus computes no quantile.
    let all = ["request_code=\"send_message_v2\"", "le=\"+Inf\""];
    assert_eq!(value("rocketmq_rpc_latency_bucket{", &all)?, 6.0);
    assert_eq!(
        value(
            "rocketmq_proxy_broker_duration_seconds_count{",
            &["broker-a"]
        )?,
        6.0
    );
    assert!(
        value(
            "rocketmq_proxy_own_duration_seconds_count{",
            &["direction=\"answer\""]
        )? >= 6.0
    );
    assert_eq!(value("rocketmq_proxy_connections{", &[])?, 1.0);
    assert_eq!(
        value("rocketmq_proxy_clients{", &["language=\"java\""])?,
        1.0
    );
    assert!(value("process_resident_memory_bytes{", &[])? > 1e6);
    let open = world
        .proxy
        .admin("GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; version=1.0.0\r\nX:")
        .await?;
    assert!(open.contains("application/openmetrics-text"), "{open}");
    assert!(open.trim_end().ends_with("# EOF"), "{open}");
    assert!(figure(&open, "rocketmq_proxy_draining").is_some());
    let config = world.proxy.admin("GET /config").await?;
    assert!(config.contains("cluster = \"here\""), "{config}");
    assert!(world.proxy.admin("GET /log").await?.ends_with("info\n"));
    Ok(())
}

#[tokio::test]
async fn who_says_nothing_to_the_admin_listener_keeps_nobody_out() -> Result<()> {
    let world = World::with("admin = \"127.0.0.1:0\"\n").await?;
    let admin = world.proxy.admin_address().context("it has one")?;
    let mut silent = Vec::new();
    for _ in 0..200 {
        let mut client = RawClient::connect(admin).await?;
        client.send_bytes(b"G").await?;
        silent.push(client);
    }
    let begun = Instant::now();
    for path in ["livez", "metrics"] {
        let answer = world.proxy.admin(&format!("GET /{path}")).await?;
        assert!(answer.contains("200 OK"), "{answer}");
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    // The first have given way, and the last go as their time is over.
    assert!(silent[0].is_closed().await?);
    assert!(silent[199].is_closed().await?);
    assert!(begun.elapsed() < Duration::from_secs(8));
    // What is too long is not waited for.
    let put = "PUT /log HTTP/1.1\r\nConnection: close\r\nContent-Length: 4097\r\n\r\n";
    let refused = world
        .proxy
        .admin(&(put.to_owned() + &"x".repeat(4097)))
        .await?;
    assert!(refused.contains("413 "), "{refused}");
    Ok(())
}
