//! What one client, or one address, may take of what all share.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::fake::{RawClient, Reply, request};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::World;
use crate::codes::pop;
use crate::operation::figure;
use crate::relay::send;

const SEND: RequestCode = RequestCode::SEND_MESSAGE_V2;

fn success() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
}

/// A broker's answer that is longer than a frame may be fails the request for it, and no other.
#[tokio::test]
async fn an_answer_that_is_too_long_ends_nobody_elses_requests() -> Result<()> {
    let world = World::with("workers = 1\nsend_elsewhere = false\n").await?;
    let code = RequestCode::QUERY_CONSUMER_OFFSET;
    let mut good = world.proxy.client().await?;
    let mut odd = world.proxy.client().await?;
    assert_eq!(good.call(&send(1, "both", "broker-a")).await?.code, 0);
    let late = Reply::Late(Duration::from_millis(800), success());
    world.a.on(SEND, late);
    let long = success().with_body(vec![7; 17 * 1024 * 1024]);
    world.a.on(code, Reply::Command(long));
    good.send(&send(2, "both", "broker-a")).await?;
    world.a.wait_received(SEND, 2).await?;
    let fields = [("bname", "broker-a"), ("topic", "both"), ("queueId", "0")];
    let refused = odd.call(&request(code, 3, &fields)).await?;
    assert_eq!(refused.code, ResponseCode::SYSTEM_ERROR.0);
    let remark = refused.remark.context("a remark")?;
    ensure!(remark.contains("limits.frame_bytes"), "{remark}");
    let answer = good.receive().await?;
    assert_eq!((answer.opaque.0, answer.code), (2, 0));
    world.a.on(SEND, Reply::Mirror);
    assert_eq!(good.call(&send(4, "both", "broker-a")).await?.code, 0);
    let sends = world.a.received(SEND);
    ensure!(
        sends
            .windows(2)
            .all(|two| two[0].connection == two[1].connection),
        "a connection has ended"
    );
    Ok(())
}

/// A broker may hold a POP for minutes after its client has disconnected; the client's state is not
/// kept for it.
#[tokio::test]
async fn nothing_is_held_for_clients_that_have_gone() -> Result<()> {
    const HELD: &str = "rocketmq_proxy_held_bytes";
    let world = World::with("admin = \"127.0.0.1:0\"\nworkers = 1\n").await?;
    world.a.on(RequestCode::POP_MESSAGE, Reply::Silence);
    let mut first = world.proxy.client().await?;
    assert_eq!(first.call(&send(1, "both", "broker-a")).await?.code, 0);
    first.send(&pop("60000")).await?;
    world.a.wait_received(RequestCode::POP_MESSAGE, 1).await?;
    drop(first);
    sleep(Duration::from_secs(1)).await;
    let metrics = world.proxy.admin("GET /metrics").await?;
    let before = figure(&metrics, HELD).with_context(|| metrics.clone())?;
    for _ in 0..100 {
        let mut client = world.proxy.client().await?;
        client.send(&pop("60000")).await?;
        client.send(&pop("60000")).await?;
        assert_eq!(client.call(&send(2, "both", "broker-a")).await?.code, 0);
    }
    world.a.wait_received(RequestCode::POP_MESSAGE, 201).await?;
    let begun = Instant::now();
    loop {
        let metrics = world.proxy.admin("GET /metrics").await?;
        let now = figure(&metrics, HELD).context("the figure")?;
        if now <= before + 1024.0 {
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(5), "{before}: {now}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// A body that is longer than any client needs is not read.
#[tokio::test]
async fn bodies_have_limits() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    for code in [
        RequestCode::LOCK_BATCH_MQ,
        RequestCode::UNLOCK_BATCH_MQ,
        RequestCode::BATCH_ACK_MESSAGE,
        RequestCode::QUERY_ASSIGNMENT,
        RequestCode::CHECK_CLIENT_CONFIG,
    ] {
        let long = request(code, 1, &[]).with_body(vec![b' '; 1024 * 1024 + 1]);
        let refused = client.call(&long).await?;
        let remark = refused.remark.unwrap_or_default();
        ensure!(remark.contains("1048576 bytes"), "{code}: {remark}");
    }
    Ok(())
}

async fn connect_from(host: u8, to: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into())?;
    Ok(socket.connect(to).await?)
}

/// Each of them holds little; together they hold what there is.
#[tokio::test]
async fn many_small_holders_of_an_address_go_before_others() -> Result<()> {
    let file = "admin = \"127.0.0.1:0\"\nworkers = 1\n[limits]\nmemory_bytes = 67108864\n";
    let world = World::with(file).await?;
    let mut good = world.proxy.client().await?;
    assert_eq!(good.call(&send(1, "both", "broker-a")).await?.code, 0);
    // It holds more than any of them, and sends the rest slowly.
    let large = send(2, "both", "broker-a")
        .with_body(vec![7; 200_000])
        .to_bytes();
    let (most, rest) = large.split_at(190_000);
    good.send_bytes(most).await?;
    let body = format!(
        r#"{{"clientID":"small","producerDataSet":[{{"groupName":"{}"}}],"consumerDataSet":[]}}"#,
        "g".repeat(12_000)
    );
    let heartbeat = request(RequestCode::HEART_BEAT, 1, &[])
        .with_body(body)
        .to_bytes();
    let mut small = Vec::new();
    for _ in 0..1_500 {
        let mut stream = connect_from(2, world.proxy.address()).await?;
        // Those that come last may be refused.
        let _ = stream.write_all(&heartbeat).await;
        small.push(stream);
    }
    sleep(Duration::from_secs(1)).await;
    let metrics = world.proxy.admin("GET /metrics").await?;
    let ended = metrics
        .lines()
        .filter(|line| line.starts_with("rocketmq_proxy_limit_hits_total"))
        .find(|line| line.contains("memory_bytes"));
    ensure!(ended.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
    good.send_bytes(rest).await?;
    let answer = timeout(Duration::from_secs(5), good.receive()).await??;
    assert_eq!((answer.opaque.0, answer.code), (2, 0));
    let mut other = RawClient::connect(world.proxy.address()).await?;
    assert_eq!(other.call(&send(3, "both", "broker-a")).await?.code, 0);
    Ok(())
}

/// A broker gives a client ten seconds to answer what another client asks it.
#[tokio::test]
async fn questions_to_other_clients_have_the_time_that_brokers_give() -> Result<()> {
    let world = World::start().await?;
    world.name_server.add_topic("%RETRY%g", &["broker-a"]);
    let late = Reply::Late(Duration::from_secs(8), success());
    let codes = [
        RequestCode::GET_CONSUMER_RUNNING_INFO,
        RequestCode::CONSUME_MESSAGE_DIRECTLY,
    ];
    let mut clients = Vec::new();
    for code in codes {
        world.a.on(code, late.clone());
        let mut client = world.proxy.client().await?;
        let fields = [("consumerGroup", "g"), ("clientId", "c")];
        client.send(&request(code, 1, &fields)).await?;
        clients.push(client);
    }
    for mut client in clients {
        let answer = timeout(Duration::from_secs(12), client.receive()).await??;
        assert_eq!((answer.opaque.0, answer.code), (1, 0), "{answer:?}");
    }
    Ok(())
}

/// What a client with many polls has left behind is written a little at a time, and then its
/// connection ends.
#[tokio::test]
async fn the_connection_for_many_polls_ends_when_their_client_has_gone() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    world.a.on(RequestCode::PULL_MESSAGE, Reply::Silence);
    let fields = [
        ("bname", "broker-a"),
        ("topic", "both"),
        ("consumerGroup", "g"),
        ("sysFlag", "2"),
        ("suspendTimeoutMillis", "600000"),
        ("queueId", "0"),
        ("queueOffset", "0"),
    ];
    let polls: Vec<u8> = (0..14_000)
        .flat_map(|opaque| request(RequestCode::PULL_MESSAGE, opaque, &fields).to_bytes())
        .collect();
    let mut client = world.proxy.client().await?;
    client.send_bytes(&polls).await?;
    // Those beyond what every client may have outstanding go another way than the first.
    world
        .a
        .wait_received(RequestCode::PULL_MESSAGE, 1_000)
        .await?;
    let pulls = world.a.received(RequestCode::PULL_MESSAGE);
    let crowd = pulls.last().context("a pull")?.connection;
    ensure!(pulls.first().is_some_and(|first| first.connection != crowd));
    drop(client);
    timeout(Duration::from_secs(20), world.a.wait_closed(crowd)).await??;
    Ok(())
}
