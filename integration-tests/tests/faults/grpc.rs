//! gRPC clients, and brokers that answer what the test wants.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{
    Message, MessageQueue, ReceiveMessageRequest, ReceiveMessageResponse, Resource,
    SendMessageRequest, SendMessageResponse, SystemProperties,
};
use h2::{Reason, client};
use integration_tests::fake::Reply;
use integration_tests::grpc_client::{Answers, GrpcClient};
use remoting_codec::message::{Properties, StoredMessage, StoredVersion, SysFlag};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::World;

const ADMIN: &str = "admin = \"127.0.0.1:0\"\nworkers = 1\n";

/// Messages of an answer to a POP, and the bytes of the body of each.
pub(crate) const POPPED: i64 = 8;
const BODY: usize = 20_000;

/// No message came in time (`ResponseCode.POLLING_TIMEOUT`).
const NO_MESSAGE: ResponseCode = ResponseCode(210);

pub(crate) fn success() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
}

/// The configuration of a group.
pub(crate) fn config() -> RemotingCommand {
    success().with_body(&b"{\"retryMaxTimes\":16}"[..])
}

/// Messages that were popped now, for a minute.
pub(crate) fn popped() -> Result<RemotingCommand> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = i64::try_from(now.as_millis())?;
    let host = "127.0.0.1:1".parse()?;
    let mut body = Vec::new();
    for nth in 0..POPPED {
        let message = StoredMessage {
            version: StoredVersion::V1,
            body_crc: 0,
            queue_id: 0,
            flag: 0,
            queue_offset: 100 + nth,
            commit_log_offset: 1000 * nth,
            sys_flag: SysFlag(0),
            born_time: now,
            born_host: host,
            store_time: now,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &[b'x'; BODY],
            topic: "one",
            properties: Properties::new(b""),
        };
        message.encode(&mut body)?;
    }
    Ok(success()
        .with_field("popTime", now.to_string())
        .with_field("invisibleTime", "60000")
        .with_field("reviveQid", "0")
        .with_field("restNum", "0")
        .with_field("startOffsetInfo", "0 0 100")
        .with_body(body))
}

/// A world whose broker has the group, and messages for every POP.
pub(crate) async fn world(file: &str) -> Result<World> {
    let world = World::with(file).await?;
    let code = RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG;
    world.a.on(code, Reply::Command(config()));
    let topic = success().with_body(&b"{\"attributes\":{}}"[..]);
    world
        .a
        .on(RequestCode::GET_TOPIC_CONFIG, Reply::Command(topic));
    world
        .a
        .on(RequestCode::POP_MESSAGE, Reply::Command(popped()?));
    let stored = success()
        .with_field("msgId", "7F00000100002A9F0000000000000001")
        .with_field("queueId", "0")
        .with_field("queueOffset", "7");
    world
        .a
        .on(RequestCode::SEND_MESSAGE_V2, Reply::Command(stored));
    Ok(world)
}

pub(crate) fn resource(name: &str) -> Option<Resource> {
    Some(Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    })
}

pub(crate) fn receiving(group: &str) -> ReceiveMessageRequest {
    ReceiveMessageRequest {
        group: resource(group),
        message_queue: Some(MessageQueue {
            topic: resource("one"),
            id: -1,
            ..MessageQueue::default()
        }),
        batch_size: 16,
        invisible_duration: Some(ProtoDuration::from_millis(60_000)),
        long_polling_timeout: Some(ProtoDuration::from_millis(5_000)),
        ..ReceiveMessageRequest::default()
    }
}

pub(crate) async fn connect(world: &World, name: &str) -> Result<GrpcClient> {
    GrpcClient::connect(world.proxy.address(), name).await
}

/// The value of the series that begins with that text.
fn figure(metrics: &str, series: &str) -> f64 {
    let mut lines = metrics.lines();
    let line = lines.find(|line| {
        let mut parts = series.split(' ');
        !line.starts_with('#') && parts.all(|part| line.contains(part))
    });
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_default()
}

/// Waits until the series has at least that value.
pub(crate) async fn wait_figure(world: &World, series: &str, least: f64) -> Result<()> {
    let waiting = async {
        while figure(&world.proxy.admin("GET /metrics").await?, series) < least {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(10), waiting)
        .await
        .with_context(|| format!("{series} stays below {least}"))?
}

/// Calls that need the same configuration ask once, although some of them are cancelled.
#[tokio::test]
async fn a_configuration_that_many_calls_need_is_asked_for_once() -> Result<()> {
    let world = world("workers = 1\n").await?;
    let code = RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG;
    let late = Reply::Late(Duration::from_millis(500), config());
    let nothing = RemotingCommand::response(NO_MESSAGE, 0, SerializeType::Json);
    world
        .a
        .on(RequestCode::POP_MESSAGE, Reply::Command(nothing));
    world.a.on(code, late);
    let (first, others) = (
        connect(&world, "first").await?,
        connect(&world, "others").await?,
    );
    let (answer, mut stream) = first.open("ReceiveMessage", &receiving("g")).await?;
    world.a.wait_received(code, 1).await?;
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(others.open("ReceiveMessage", &receiving("g")).await?);
    }
    // The call that has asked is cancelled.
    stream.send_reset(Reason::CANCEL);
    drop(answer);
    for (answer, _) in open {
        let mut answers = Answers::of(answer).await?;
        answers.message::<ReceiveMessageResponse>().await?;
    }
    assert_eq!(world.a.received(code).len(), 1);
    Ok(())
}

/// What a client makes up does not fill the broker's time: its questions wait for each other, and
/// those of other clients do not wait for them.
#[tokio::test]
async fn made_up_groups_do_not_delay_other_clients() -> Result<()> {
    let world = world("workers = 1\n").await?;
    let code = RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG;
    world.a.on(code, Reply::Silence);
    let inventor = connect(&world, "inventor").await?;
    let mut open = Vec::new();
    for nth in 0..200 {
        let request = receiving(&format!("made-up-{nth}"));
        open.push(inventor.open("ReceiveMessage", &request).await?);
    }
    world.a.wait_received(code, 32).await?;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(world.a.received(code).len(), 32);
    world.a.on(code, Reply::Command(config()));
    let other = connect(&world, "other").await?;
    let begun = Instant::now();
    let all: Vec<ReceiveMessageResponse> = other.stream("ReceiveMessage", &receiving("g")).await?;
    assert!(!all.is_empty());
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    Ok(())
}

/// A client that sets a window, and never opens it again.
async fn shut(world: &World, window: u32) -> Result<GrpcClient> {
    let mut builder = client::Builder::new();
    builder
        .initial_window_size(window)
        .initial_connection_window_size(1 << 20);
    GrpcClient::connect_with(world.proxy.address(), "shut", builder).await
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_reset_and_its_messages_are_given_back() -> Result<()> {
    let world = world(&format!("{ADMIN}[limits]\nframe_ms = 1000\n")).await?;
    let given_back = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;
    let mut count = 0;
    // Of eight messages of 20 kB, two in each part, those that the window has room for are taken.
    for (window, delivered) in [(0, 0), (30_000, 1), (60_000, 2), (130_000, 6)] {
        let client = shut(&world, window).await?;
        let begun = Instant::now();
        let (answer, stream) = client.open("ReceiveMessage", &receiving("g")).await?;
        count += usize::try_from(POPPED - delivered)?;
        let given = world.a.wait_received(given_back, count).await?;
        let time = begun.elapsed();
        assert!(time >= Duration::from_secs(1), "{window}: after {time:?}");
        assert!(time < Duration::from_secs(4), "{window}: after {time:?}");
        assert_eq!(given.len(), count, "window {window}");
        let reset = timeout(Duration::from_secs(5), read(answer)).await?;
        let error = reset.err().context("the stream has ended in order")?;
        let reason = error
            .downcast_ref::<h2::Error>()
            .and_then(h2::Error::reason);
        assert_eq!(reason, Some(Reason::CANCEL), "{error}");
        drop(stream);
        // The connection goes on.
        if window > 0 {
            assert!(send(&client).await?.status.is_some());
        }
    }
    let series = "rocketmq_proxy_limit_hits_total limit=\"frame_ms\"";
    wait_figure(&world, series, 4.0).await?;
    let metrics = world.proxy.admin("GET /metrics").await?;
    assert_eq!(
        figure(&metrics, "rocketmq_messages_out_total topic=\"other\""),
        9.0
    );
    Ok(())
}

/// Reads an answer without opening the window.
async fn read(answer: client::ResponseFuture) -> Result<()> {
    let mut body = answer.await?.into_body();
    while let Some(data) = body.data().await {
        data?;
    }
    Ok(())
}

/// A client that reads slowly, but reads, keeps its stream for longer than the limit.
#[tokio::test]
async fn a_stream_that_is_read_slowly_goes_on() -> Result<()> {
    let world = world(&format!("{ADMIN}[limits]\nframe_ms = 1000\n")).await?;
    let client = shut(&world, 16_384).await?;
    let (answer, _stream) = client.open("ReceiveMessage", &receiving("g")).await?;
    let mut body = answer.await?.into_body();
    let (mut bytes, begun) = (0, Instant::now());
    while let Some(data) = body.data().await {
        let data = data?;
        bytes += data.len();
        sleep(Duration::from_millis(200)).await;
        body.flow_control().release_capacity(data.len())?;
    }
    assert!(
        begun.elapsed() > Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert!(bytes > BODY * usize::try_from(POPPED)?, "{bytes}");
    let status = body.trailers().await?.context("no trailers")?;
    assert_eq!(status["grpc-status"], "0");
    Ok(())
}

/// Passes bytes on to the proxy; none come back from when the gate is shut. Returns where to
/// connect, and a task that ends when the proxy takes no more.
async fn gate(
    world: &World,
    mut shut: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<io::Result<u64>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let proxy = world.proxy.address();
    let passing = tokio::spawn(async move {
        let (client, _) = listener.accept().await?;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(64 * 1024)?;
        let (mut from_proxy, mut to_proxy) = socket.connect(proxy).await?.into_split();
        let (mut from_client, mut to_client) = client.into_split();
        let down = async {
            tokio::select! {
                _ = tokio::io::copy(&mut from_proxy, &mut to_client) => {}
                _ = shut.wait_for(|shut| *shut) => {}
            }
            std::future::pending().await
        };
        tokio::select! {
            up = tokio::io::copy(&mut from_client, &mut to_proxy) => up,
            () = down => Ok(0),
        }
    });
    Ok((address, passing))
}

/// A client that goes on sending, so that it needs no ping, and takes no bytes from its socket.
#[tokio::test]
async fn a_connection_that_takes_no_bytes_is_ended() -> Result<()> {
    let world = world(&format!("{ADMIN}[limits]\nframe_ms = 1000\n")).await?;
    let (shut, is_shut) = watch::channel(false);
    let (address, passing) = gate(&world, is_shut).await?;
    let mut builder = client::Builder::new();
    builder
        .initial_window_size(1 << 24)
        .initial_connection_window_size(1 << 26);
    let client = GrpcClient::connect_with(address, "shut", builder).await?;
    assert!(send(&client).await?.status.is_some());
    shut.send(true)?;
    let begun = Instant::now();
    let mut open = Vec::new();
    // Far more than the kernel's buffers.
    for _ in 0..80 {
        open.push(client.open("ReceiveMessage", &receiving("g")).await?);
    }
    while !passing.is_finished() && begun.elapsed() < Duration::from_secs(10) {
        // It fails once the connection has ended.
        open.extend(client.open("ReceiveMessage", &receiving("g")).await.ok());
        sleep(Duration::from_millis(100)).await;
    }
    let time = begun.elapsed();
    assert!(time >= Duration::from_secs(1), "after {time:?}");
    assert!(time < Duration::from_secs(6), "after {time:?}");
    let given_back = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;
    world.a.wait_received(given_back, 1).await?;
    let series = "rocketmq_proxy_limit_hits_total limit=\"frame_ms\"";
    wait_figure(&world, series, 1.0).await
}

#[tokio::test]
async fn cancelled_calls_and_messages_count() -> Result<()> {
    let world = world(&format!(
        "{ADMIN}[metrics]\ntopics = [\"one\"]\ngroups = [\"g\"]\n"
    ))
    .await?;
    let client = connect(&world, "client").await?;
    let all: Vec<ReceiveMessageResponse> = client.stream("ReceiveMessage", &receiving("g")).await?;
    assert_eq!(all.len(), 2 + usize::try_from(POPPED)?);
    send(&client).await?;
    for series in [
        "rocketmq_messages_out_total topic=\"one\" consumer_group=\"g\"",
        "rocketmq_messages_in_total topic=\"one\" message_type=\"normal\"",
    ] {
        wait_figure(&world, series, 1.0).await?;
    }
    let metrics = world.proxy.admin("GET /metrics").await?;
    let out = figure(&metrics, "rocketmq_messages_out_total topic=\"one\"");
    assert_eq!(out, POPPED as f64);
    let bytes = figure(&metrics, "rocketmq_throughput_in_total topic=\"one\"");
    assert_eq!(bytes, 4.0);
    // One is cancelled, one ends with its connection.
    world.a.on(RequestCode::POP_MESSAGE, Reply::Silence);
    let (answer, mut stream) = client.open("ReceiveMessage", &receiving("g")).await?;
    let leaves = connect(&world, "leaves").await?;
    let left = leaves.open("ReceiveMessage", &receiving("g")).await?;
    world.a.wait_received(RequestCode::POP_MESSAGE, 3).await?;
    stream.send_reset(Reason::CANCEL);
    drop((answer, left, leaves));
    let series = "rocketmq_proxy_request_duration_seconds_count ReceiveMessage cancelled";
    wait_figure(&world, series, 2.0).await?;
    let series = "rocketmq_rpc_latency_count receivemessage result=\"cancelled\"";
    wait_figure(&world, series, 2.0).await
}

/// Sends a message of four bytes.
async fn send(client: &GrpcClient) -> Result<SendMessageResponse> {
    let message = Message {
        topic: resource("one"),
        system_properties: Some(SystemProperties {
            message_id: "id".to_owned(),
            ..SystemProperties::default()
        }),
        body: Bytes::from_static(b"body"),
        ..Message::default()
    };
    let request = SendMessageRequest {
        messages: vec![message],
    };
    client.unary("SendMessage", &request).await
}
