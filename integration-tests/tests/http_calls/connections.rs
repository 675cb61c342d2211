//! Connections that carry several requests, of both versions, and their end.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use grpc::proto::{Code, QueryRouteRequest, QueryRouteResponse, Resource};
use h2::client;
use http::Request;
use integration_tests::fake::Reply;
use integration_tests::grpc_client::GrpcClient;
use proxy_server::Signal;
use remoting_codec::RequestCode;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{PATIENCE, World, config, statuses};

const ADMIN: &str = "admin = \"127.0.0.1:0\"\nworkers = 1\n";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n")
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_their_order() -> Result<()> {
    let world = World::with(ADMIN).await?;
    // One after the other.
    let mut client = world.connect().await?;
    for (target, status) in [
        ("/v1/topics/one", 200),
        ("/v1/topics/none", 404),
        ("/", 404),
    ] {
        client.write(get(target)).await?;
        let answer = client.answer(false).await?.context("no answer")?;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("connection"), None, "{answer:?}");
    }
    // Many at once, with bodies among them, in pieces that end anywhere.
    let mut all = String::new();
    for _ in 0..30 {
        all.push_str(&get("/v1/topics/one"));
        all.push_str(
            "POST /v1/topics/one/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nGET",
        );
        all.push_str("OPTIONS /v1/topics/one HTTP/1.1\r\nhost: x\r\n\r\n");
        all.push_str("PUT /v1/topics/one HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    }
    all.push_str("GET /v1/topics/both HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    all.push_str(&get("/v1/topics/one"));
    let (mut reading, mut writing) = client.stream.into_split();
    let sending = tokio::spawn(async move {
        for piece in all.as_bytes().chunks(101) {
            if writing.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        writing
    });
    let mut text = String::new();
    let read = tokio::io::AsyncReadExt::read_to_string(&mut reading, &mut text);
    timeout(PATIENCE, read).await??;
    drop(sending.await?);
    let found: Vec<&str> = text
        .split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|answer| answer.get(..3))
        .collect();
    assert_eq!(found.len(), 4 * 30 + 1, "{found:?}");
    for answers in found.chunks(4) {
        // Whatever becomes of the message.
        assert!(
            matches!(answers, ["200", _, "204", "405"] | ["200"]),
            "{found:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn old_clients_are_served() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let request = "GET /v1/topics/one HTTP/1.0\r\n\r\n";
    let mut client = world.connect().await?;
    client.write(request).await?;
    let mut text = String::new();
    let read = tokio::io::AsyncReadExt::read_to_string(&mut client.stream, &mut text);
    timeout(PATIENCE, read).await??;
    assert!(text.starts_with("HTTP/1.0 200 "), "{text}");
    // With keep-alive, if they ask for it.
    let mut client = world.connect().await?;
    for _ in 0..2 {
        let request = "GET /v1/topics/one HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
        client.write(request).await?;
        while !client.read.ends_with(b"}") {
            assert!(client.more().await?);
        }
        client.read.clear();
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_closes_its_side_gets_its_answer() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let mut client = world.connect().await?;
    client.write(get("/v1/topics/one")).await?;
    client.stream.shutdown().await?;
    assert_eq!(statuses(&client.rest().await?), [200]);
    // Its end may arrive together with that of a body, and be read first.
    let head = "POST /v1/topics/one/messages HTTP/1.1\r\nhost: x\r\n";
    for rest in [
        "content-length: 5\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ] {
        for _ in 0..20 {
            let mut client = world.connect().await?;
            client.write(format!("{head}{rest}")).await?;
            client.stream.shutdown().await?;
            // Whatever becomes of the message.
            let answers = client.rest().await?;
            assert_eq!(answers.len(), 1, "{rest:?}");
            assert_eq!(answers[0].code()?, "message_type_conflict", "{rest:?}");
        }
    }
    // A body that will never be complete is not waited for.
    let mut client = world.connect().await?;
    client
        .write(format!("{head}content-length: 6\r\n\r\nhello"))
        .await?;
    client.stream.shutdown().await?;
    timeout(Duration::from_secs(2), client.rest()).await??;
    Ok(())
}

#[tokio::test]
async fn one_connection_carries_grpc_and_other_requests() -> Result<()> {
    let world = World::with(ADMIN).await?;
    let stream = TcpStream::connect(world.proxy.address()).await?;
    let (sender, connection) = client::handshake(stream).await?;
    tokio::spawn(connection);
    let grpc = GrpcClient::over(sender.clone(), "client");
    for _ in 0..3 {
        let request = QueryRouteRequest {
            topic: Some(Resource {
                resource_namespace: String::new(),
                name: "one".to_owned(),
            }),
            endpoints: None,
        };
        let answer: QueryRouteResponse = grpc.unary("QueryRoute", &request).await?;
        let status = answer.status.context("no status")?;
        assert_eq!(status.code, i32::from(Code::Ok), "{status:?}");
        for (method, status) in [("GET", 200), ("HEAD", 200), ("PUT", 405)] {
            let request = Request::builder()
                .method(method)
                .uri("http://remora/v1/topics/one")
                .body(())?;
            let mut sender = sender.clone().ready().await?;
            let (answer, _) = sender.send_request(request, true)?;
            let answer = timeout(PATIENCE, answer).await??;
            assert_eq!(answer.status(), status);
            let length = answer.headers()["content-length"].to_str()?.to_owned();
            let body = body(answer.into_body()).await?;
            match method {
                "HEAD" => assert_eq!(body.len(), 0),
                _ => assert_eq!(body.len().to_string(), length),
            }
        }
        // POST without the content type of gRPC is none of gRPC either.
        let request = Request::post("http://remora/v1/topics/none/messages").body(())?;
        let mut sender = sender.clone().ready().await?;
        let (answer, mut sending) = sender.send_request(request, false)?;
        sending.send_data(Bytes::from_static(b"hello"), true)?;
        assert_eq!(timeout(PATIENCE, answer).await??.status(), 404);
    }
    let metrics = world.proxy.admin("GET /metrics").await?;
    for labels in [
        "protocol=\"grpc\",code=\"QueryRoute\",result=\"OK\"",
        "protocol=\"http\",code=\"json.describe\",result=\"2xx\"",
        "protocol=\"http\",code=\"other\",result=\"4xx\"",
    ] {
        assert!(metrics.contains(labels), "{labels}: {metrics}");
    }
    assert!(
        metrics.contains("rocketmq_proxy_http_in_flight"),
        "{metrics}"
    );
    Ok(())
}

async fn body(mut body: h2::RecvStream) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(data) = timeout(PATIENCE, body.data()).await? {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok(all)
}

#[tokio::test]
async fn a_drain_ends_idle_connections_and_tells_the_others() -> Result<()> {
    let file = format!("{ADMIN}[drain]\nwait_ms = 500\ntime_ms = 500\ndeadline_ms = 8000\n");
    let world = World::with(&file).await?;
    let mut idle = world.connect().await?;
    idle.write(get("/v1/topics/one")).await?;
    assert_eq!(idle.answer(false).await?.context("no answer")?.status, 200);
    let mut busy = world.connect().await?;
    // A question that takes its time.
    let late = Reply::Late(Duration::from_millis(1_500), config());
    world.a.on(RequestCode::GET_TOPIC_CONFIG, late);
    busy.write(get("/v1/topics/both") + &get("/v1/topics/one"))
        .await?;
    let asked = RequestCode::GET_TOPIC_CONFIG;
    world.a.wait_received(asked, 1).await?;
    world.proxy.signal(Signal::Drain);
    // Still served while balancers learn of it.
    idle.write(get("/v1/topics/one")).await?;
    assert_eq!(idle.answer(false).await?.context("no answer")?.status, 200);
    assert!(idle.closes_within(Duration::from_secs(2)).await?);
    let answers = busy.rest().await?;
    assert_eq!(statuses(&answers), [200], "{answers:?}");
    assert_eq!(answers[0].header("connection"), Some("close"));
    Ok(())
}
