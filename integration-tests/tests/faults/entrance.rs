//! The start of a client's connection, before its first frame: PROXY headers and TLS.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use integration_tests::fake::{RawClient, request};
use integration_tests::ports::free_port;
use integration_tests::tls::{Authority, Issued, connect, plain_to_tls, shown};
use remoting_codec::body::TopicRouteData;
use remoting_codec::{Language, RemotingCommand, RequestCode, Version};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use crate::World;
use crate::operation::figure;
use crate::relay::send;

const NAME: &str = "mq.example.com";

/// A listener behind a balancer at `from`.
fn balanced(from: &str) -> String {
    format!(
        "proxy_protocol_from = [\"{from}\"]\n[[listener]]\nbind = \"127.0.0.1:0\"\nproxy_protocol = true\n"
    )
}

/// `[tls]` with that certificate, which lies in that folder.
fn tls(mode: &str, issued: &Issued, folder: &Path) -> Result<String> {
    let (certificate, key) = issued.write(folder)?;
    Ok(format!(
        "[tls]\nmode = \"{mode}\"\n[[tls.certificate]]\ncertificate = {certificate:?}\nkey = {key:?}\n"
    ))
}

const V1: &[u8] = b"PROXY TCP4 198.51.100.9 203.0.113.7 40000 20000\r\n";
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x09\xcb\0\x71\x07\x9c\x40\x4e\x20";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn ask_route() -> RemotingCommand {
    RemotingCommand {
        language: Language::JAVA,
        version: Version(513),
        ..request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 7, &[("topic", "one")])
    }
}

/// The addresses of the broker that a route advertises.
fn advertised(answer: &RemotingCommand) -> Result<Vec<String>> {
    let brokers = TopicRouteData::decode(&answer.body)?.broker_datas;
    Ok(brokers
        .into_iter()
        .flat_map(|broker| broker.broker_addrs.into_values())
        .collect())
}

#[tokio::test]
async fn a_client_behind_a_balancer_is_told_the_balancers_address() -> Result<()> {
    let world = World::with(&balanced("127.0.0.0/8")).await?;
    let here = world.proxy.address().to_string();
    for (header, expected) in [
        (V1, "203.0.113.7:20000"),
        (V2, "203.0.113.7:20000"),
        (b"PROXY UNKNOWN\r\n", &here),
        // The balancer itself.
        (V2_LOCAL, &here),
    ] {
        // Together with the first frame, and in pieces.
        let whole = [header, &ask_route().to_bytes()].concat();
        for cut in [whole.len(), 9, 1] {
            let mut client = world.proxy.client().await?;
            for part in whole.chunks(cut) {
                client.send_bytes(part).await?;
                tokio::task::yield_now().await;
            }
            assert_eq!(advertised(&client.receive().await?)?, [expected]);
            assert_eq!(client.call(&send(1, "one", "broker-a")).await?.code, 0);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_brokers_own_listener_is_told_as_the_balancer_has_it() -> Result<()> {
    let port = free_port()?;
    let file = format!(
        "{}broker_addresses = \"always\"\n[[broker_listener]]\nbroker = \"broker-a\"\nbind = \"127.0.0.1:{port}\"\nproxy_protocol = true\n",
        "proxy_protocol_from = [\"127.0.0.1\"]\n"
    );
    let world = World::with(&file).await?;
    let mut client = RawClient::connect(([127, 0, 0, 1], port).into()).await?;
    client.send_bytes(V2).await?;
    let route = client.call(&ask_route()).await?;
    assert_eq!(advertised(&route)?, ["203.0.113.7:20000"]);
    // The shared listener is not behind one.
    let route = world.proxy.client().await?.call(&ask_route()).await?;
    assert_eq!(advertised(&route)?, [format!("127.0.0.1:{port}")]);
    Ok(())
}

#[tokio::test]
async fn headers_of_strangers_are_not_believed() -> Result<()> {
    let world = World::with(&balanced("10.0.0.0/8")).await?;
    for bytes in [V1, V2, b"", &send(1, "one", "broker-a").to_bytes()] {
        let mut client = world.proxy.client().await?;
        // It may be closed already.
        let _ = client.send_bytes(bytes).await;
        assert!(client.is_closed().await?);
    }
    assert!(world.a.received(RequestCode::SEND_MESSAGE_V2).is_empty());
    Ok(())
}

#[tokio::test]
async fn where_a_header_is_due_nothing_else_is_taken() -> Result<()> {
    let file = format!("{}[limits]\nhandshake_ms = 500\n", balanced("127.0.0.1"));
    let world = World::with(&file).await?;
    let mut bystander = world.proxy.client().await?;
    bystander.send_bytes(V2).await?;
    assert_eq!(bystander.call(&send(1, "one", "broker-a")).await?.code, 0);
    for bytes in [
        &send(1, "one", "broker-a").to_bytes()[..],
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 1.1.1.1\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02\0\0",
        // A header that has only started is waited for, but not for long.
        &V2[..20],
        &V1[..20],
        b"",
    ] {
        let mut client = world.proxy.client().await?;
        client.send_bytes(bytes).await?;
        assert!(client.is_closed().await?);
    }
    assert_eq!(bystander.call(&send(2, "one", "broker-a")).await?.code, 0);
    assert_eq!(world.a.received(RequestCode::SEND_MESSAGE_V2).len(), 2);
    Ok(())
}

#[tokio::test]
async fn limits_count_the_clients_that_a_balancer_names() -> Result<()> {
    let file = format!(
        "admin = \"127.0.0.1:0\"\n{}[limits]\nconnections_per_address = 1\nhandshake_ms = 300\n",
        balanced("127.0.0.1")
    );
    let world = World::with(&file).await?;
    let enter = async |source: &str| -> Result<RawClient> {
        let mut client = world.proxy.client().await?;
        let header = format!("PROXY TCP4 {source} 203.0.113.7 40000 20000\r\n");
        client.send_bytes(header.as_bytes()).await?;
        client.send(&send(1, "one", "broker-a")).await?;
        Ok(client)
    };
    let mut first = enter("198.51.100.1").await?;
    assert_eq!(first.receive().await?.code, 0);
    assert_eq!(enter("198.51.100.2").await?.receive().await?.code, 0);
    assert!(enter("198.51.100.1").await?.is_closed().await?);
    // This client sends nothing at all.
    assert!(world.proxy.client().await?.is_closed().await?);
    let metrics = world.proxy.admin("GET /metrics").await?;
    for limit in ["connections_per_address", "handshake"] {
        let hits = metrics.lines().find(|line| {
            line.starts_with("rocketmq_proxy_limit_hits_total") && line.contains(limit)
        });
        assert!(hits.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
    }
    // Its place is free again.
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(5);
    while enter("198.51.100.1").await?.receive().await.is_err() {
        assert!(Instant::now() < deadline, "the place is not given back");
    }
    Ok(())
}

#[tokio::test]
async fn plain_and_tls_come_to_one_port() -> Result<()> {
    let (authority, folder) = (Authority::new()?, TempDir::new()?);
    let issued = authority.issue(NAME)?;
    // Much is sent, and a machine may be busy.
    let patient = "[timeouts]\nsend_ms = 9000\n".to_owned();
    let world = World::with(&(patient + &tls("permissive", &issued, folder.path())?)).await?;
    let connector = authority.connector(None)?;
    let tunnel = plain_to_tls(world.proxy.address(), connector, NAME, Vec::new()).await?;
    for address in [tunnel, world.proxy.address()] {
        let mut client = RawClient::connect(address).await?;
        for size in [0, 100, 20_000, 3_000_000] {
            let body = vec![b'x'; size];
            let answer = client
                .call(&send(1, "one", "broker-a").with_body(body.clone()))
                .await?;
            assert!(answer.body == body, "{size}: {:?}", answer.remark);
        }
        // Many requests, whose answers are read only then.
        for opaque in 0..200 {
            let message = send(opaque, "one", "broker-a").with_body(vec![b'y'; 5_000]);
            client.send(&message).await?;
        }
        for opaque in 0..200 {
            assert_eq!(client.receive().await?.opaque.0, opaque);
        }
    }
    Ok(())
}

#[tokio::test]
async fn where_tls_is_required_nothing_else_is_taken() -> Result<()> {
    let (authority, folder) = (Authority::new()?, TempDir::new()?);
    let limits = "[limits]\nhandshake_ms = 1000\n";
    let issued = authority.issue(NAME)?;
    let world =
        World::with(&(limits.to_owned() + &tls("required", &issued, folder.path())?)).await?;
    let connector = authority.connector(None)?;
    let tunnel = plain_to_tls(world.proxy.address(), connector, NAME, Vec::new()).await?;
    let mut bystander = RawClient::connect(tunnel).await?;
    assert_eq!(bystander.call(&send(1, "one", "broker-a")).await?.code, 0);
    let started = Instant::now();
    for bytes in [
        &send(1, "one", "broker-a").to_bytes()[..],
        b"GET / HTTP/1.1\r\n\r\n",
        // It looks like a handshake at first.
        b"\x16\x03\x01\x00\x05hello",
        &[0x16; 100],
    ] {
        let mut client = world.proxy.client().await?;
        client.send_bytes(bytes).await?;
        // An alert may come before the end.
        let mut stream = client.into_inner();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < 10, "{rest:?}");
    }
    assert!(started.elapsed() < Duration::from_millis(900));
    // A handshake that has started must end in time.
    for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut client = world.proxy.client().await?;
        client.send_bytes(bytes).await?;
        assert!(client.is_closed().await?);
    }
    assert_eq!(bystander.call(&send(2, "one", "broker-a")).await?.code, 0);
    assert_eq!(world.a.received(RequestCode::SEND_MESSAGE_V2).len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_header_comes_before_tls() -> Result<()> {
    let (authority, folder) = (Authority::new()?, TempDir::new()?);
    let issued = authority.issue(NAME)?;
    let file = balanced("127.0.0.1") + &tls("required", &issued, folder.path())?;
    let world = World::with(&file).await?;
    let connector = authority.connector(None)?;
    let tunnel = plain_to_tls(world.proxy.address(), connector, NAME, V2.to_vec()).await?;
    let mut client = RawClient::connect(tunnel).await?;
    let route = client.call(&ask_route()).await?;
    assert_eq!(advertised(&route)?, ["203.0.113.7:20000"]);
    Ok(())
}

#[tokio::test]
async fn clients_without_a_certificate_that_is_asked_for_stay_out() -> Result<()> {
    let (authority, folder) = (Authority::new()?, TempDir::new()?);
    let ca = authority.write(folder.path())?;
    let issued = authority.issue(NAME)?;
    let asks = format!("[tls]\nclient_auth = \"required\"\nclient_ca = {ca:?}\n");
    let file = tls("required", &issued, folder.path())?.replace("[tls]\n", &asks);
    let world = World::with(&file).await?;
    let own = authority.issue("client")?;
    for (shown, welcome) in [(Some(&own), true), (None, false)] {
        let connector = authority.connector(shown)?;
        let tunnel = plain_to_tls(world.proxy.address(), connector, NAME, Vec::new()).await?;
        let mut client = RawClient::connect(tunnel).await?;
        let answer = client.call(&send(1, "one", "broker-a")).await;
        assert_eq!(answer.is_ok(), welcome, "{answer:?}");
    }
    // Nor does plain text pass by.
    let mut plain = world.proxy.client().await?;
    plain.send(&send(1, "one", "broker-a")).await?;
    assert!(plain.is_closed().await?);
    assert_eq!(world.a.received(RequestCode::SEND_MESSAGE_V2).len(), 1);
    Ok(())
}

async fn ask_over(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
    stream.write_all(&ask_route().to_bytes()).await?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).await?;
    assert!(answer.len() > 100);
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_is_shown_soon_and_drops_nobody() -> Result<()> {
    let (authority, folder) = (Authority::new()?, TempDir::new()?);
    let versions = ["one", "two", "broken"].map(|name| folder.path().join(name));
    for version in &versions {
        std::fs::create_dir(version)?;
    }
    let [one, two, broken] = &versions;
    let [first, second] = [authority.issue(NAME)?, authority.issue(NAME)?];
    second.write(two)?;
    let mismatched = Issued {
        key: first.key.clone(),
        ..second.clone()
    };
    mismatched.write(broken)?;
    // As Kubernetes mounts a secret, but for the links of the files.
    let data = folder.path().join("..data");
    symlink(one, &data)?;
    first.write(one)?;
    let file = "admin = \"127.0.0.1:0\"\n".to_owned() + &tls("required", &first, &data)?;
    let world = World::with(&file).await?;
    let address: SocketAddr = world.proxy.address();
    let connector = authority.connector(None)?;
    let mut stays = connect(&connector, address, NAME, b"").await?;
    assert_eq!(shown(&stays)?, first.der()?);
    ask_over(&mut stays).await?;
    let swap = |to: &Path| {
        let next = folder.path().join("next");
        symlink(to, &next)?;
        std::fs::rename(&next, &data)
    };
    swap(two)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while shown(&connect(&connector, address, NAME, b"").await?)? != second.der()? {
        assert!(
            Instant::now() < deadline,
            "the old certificate is still shown"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    swap(broken)?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let new = connect(&connector, address, NAME, b"").await?;
    assert_eq!(shown(&new)?, second.der()?);
    let metrics = world.proxy.admin("GET /metrics").await?;
    let errors = "rocketmq_proxy_certificate_reload_errors_total";
    assert_eq!(figure(&metrics, errors), Some(1.0), "{metrics}");
    let expiry = "rocketmq_proxy_certificate_expiry_timestamp_seconds";
    // What is made for tests is valid until the year 4096.
    assert_eq!(
        figure(&metrics, expiry),
        Some(67_090_118_400.0),
        "{metrics}"
    );
    ask_over(&mut stays).await
}
