//! Listeners that take some protocols only, and TLS.

use anyhow::{Context as _, Result};
use grpc::proto::{HeartbeatRequest, HeartbeatResponse};
use h2::client;
use http::Request;
use integration_tests::fake::request as remoting_request;
use integration_tests::grpc_client::GrpcClient;
use integration_tests::tls::Authority;
use remoting_codec::RequestCode;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::{PATIENCE, World, statuses};

const GET: &str = "GET /v1/topics/one HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn listener(protocols: &str) -> String {
    format!("workers = 1\n[[listener]]\nbind = \"127.0.0.1:0\"\nprotocols = {protocols}\n")
}

/// What a listener takes: remoting, gRPC, HTTP/1.1 and HTTP/2.
async fn taken(world: &World) -> Result<[bool; 4]> {
    let address = world.proxy.address();
    let mut client = world.proxy.client().await?;
    let question = remoting_request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 1, &[("topic", "one")]);
    let remoting = client.call(&question).await.is_ok();
    let grpc = async {
        let client = GrpcClient::connect(address, "client").await?;
        let request = HeartbeatRequest::default();
        let answer: HeartbeatResponse = client.unary("Heartbeat", &request).await?;
        answer.status.context("no status")
    };
    let grpc = grpc.await.is_ok();
    let by_http1 = statuses(&world.exchange(GET).await?);
    assert!(matches!(*by_http1, [200 | 505]), "{by_http1:?}");
    let by_http2 = async {
        let stream = TcpStream::connect(address).await?;
        let (sender, connection) = client::handshake(stream).await?;
        tokio::spawn(connection);
        let request = Request::get("http://remora/v1/topics/one").body(())?;
        let (answer, _) = sender.ready().await?.send_request(request, true)?;
        anyhow::Ok(timeout(PATIENCE, answer).await??.status())
    };
    let by_http2 = by_http2.await.is_ok_and(|status| status == 200);
    Ok([remoting, grpc, by_http1 == [200], by_http2])
}

#[tokio::test]
async fn each_listener_takes_its_protocols() -> Result<()> {
    for (protocols, expected) in [
        (
            "[\"remoting\", \"grpc\", \"http\"]",
            [true, true, true, true],
        ),
        ("[\"remoting\"]", [true, false, false, false]),
        ("[\"grpc\"]", [false, true, false, false]),
        ("[\"http\"]", [false, false, true, true]),
        ("[\"grpc\", \"http\"]", [false, true, true, true]),
        ("[\"remoting\", \"http\"]", [true, false, true, true]),
    ] {
        let world = World::with(&listener(protocols)).await?;
        let found = taken(&world).await?;
        assert_eq!(found, expected, "{protocols}");
    }
    Ok(())
}

#[tokio::test]
async fn tls_carries_what_alpn_has_chosen() -> Result<()> {
    const NAME: &str = "mq.example.com";
    let (authority, folder) = (Authority::new()?, TempDir::new()?);
    let (certificate, key) = authority.issue(NAME)?.write(folder.path())?;
    let file = format!(
        "workers = 1\n[tls]\nmode = \"required\"\n[[tls.certificate]]\ncertificate = {:?}\nkey = {:?}\n",
        certificate.display().to_string(),
        key.display().to_string()
    );
    let world = World::with(&file).await?;
    for (offered, chosen) in [
        (&["http/1.1"][..], Some("http/1.1")),
        (&["h2", "http/1.1"], Some("h2")),
        (&["h2"], Some("h2")),
        (&[], None),
    ] {
        let connector = authority.connector(None)?;
        let mut config = connector.config().as_ref().clone();
        config.alpn_protocols = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let connector = TlsConnector::from(std::sync::Arc::new(config));
        let stream = TcpStream::connect(world.proxy.address()).await?;
        let name = ServerName::try_from(NAME)?;
        let mut stream = connector.connect(name, stream).await?;
        let found = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(found.as_deref(), chosen.map(str::as_bytes));
        if chosen == Some("h2") {
            let (sender, connection) = client::handshake(stream).await?;
            tokio::spawn(connection);
            let request = Request::get("https://mq.example.com/v1/topics/one").body(())?;
            let (answer, _) = sender.ready().await?.send_request(request, true)?;
            assert_eq!(timeout(PATIENCE, answer).await??.status(), 200);
            continue;
        }
        stream.write_all(GET.as_bytes()).await?;
        let mut text = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut text)).await??;
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    }
    Ok(())
}
