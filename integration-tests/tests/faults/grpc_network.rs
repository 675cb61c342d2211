//! gRPC clients far away, and over TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use grpc::proto::{Code, Message, SendMessageRequest, SendMessageResponse, SystemProperties};
use h2::client;
use integration_tests::fake::Reply;
use integration_tests::grpc_client::{Answers, GrpcClient};
use integration_tests::tls::{Authority, connect as connect_by_tls, shown};
use proxy_server::Signal;
use remoting_codec::RequestCode;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use crate::grpc::{connect, receiving, resource, world};

/// The name in the certificates.
const NAME: &str = "mq.example.com";

/// How long a byte is on its way between the distant client and the proxy.
const DISTANCE: Duration = Duration::from_millis(50);

/// Passes bytes on, each as late as the distance is.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> Result<()> {
    let (sender, mut under_way) = mpsc::unbounded_channel();
    let read = async {
        loop {
            let mut bytes = vec![0; 64 * 1024];
            let length = from.read(&mut bytes).await?;
            if length == 0 {
                return anyhow::Ok(());
            }
            bytes.truncate(length);
            sender.send((Instant::now() + DISTANCE, bytes))?;
        }
    };
    let write = async {
        while let Some((due, bytes)) = under_way.recv().await {
            sleep_until(due).await;
            to.write_all(&bytes).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(read, write)?;
    Ok(())
}

/// Where a client connects that is far away from the proxy.
async fn far_away(proxy: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let (client, _) = listener.accept().await?;
        let proxy = TcpStream::connect(proxy).await?;
        proxy.set_nodelay(true)?;
        client.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_proxy, to_proxy) = proxy.into_split();
        tokio::try_join!(pass(from_client, to_proxy), pass(from_proxy, to_client))?;
        anyhow::Ok(())
    });
    Ok(address)
}

async fn send(client: &GrpcClient, size: usize) -> Result<()> {
    let message = Message {
        topic: resource("one"),
        system_properties: Some(SystemProperties {
            message_id: "id".to_owned(),
            ..SystemProperties::default()
        }),
        body: Bytes::from(vec![b'x'; size]),
        ..Message::default()
    };
    let request = SendMessageRequest {
        messages: vec![message],
    };
    let answer: SendMessageResponse = client.unary("SendMessage", &request).await?;
    let status = answer.status.context("no status")?;
    anyhow::ensure!(status.code == i32::from(Code::Ok), "{status:?}");
    Ok(())
}

/// Complaint 29: a window is opened again once in the time there and back, here 100 ms. With the
/// windows of HTTP/2's standard, 64 KiB, both would take longer than twice of what they may take.
#[tokio::test]
async fn distance_does_not_limit_a_connection() -> Result<()> {
    const ROUND: Duration = Duration::from_millis(100);
    const STANDARD: usize = 64 * 1024;
    let world = world("workers = 1\n").await?;
    let address = far_away(world.proxy.address()).await?;
    let client = GrpcClient::connect(address, "client").await?;
    send(&client, 1).await?;
    // The connection's window, and that of a stream.
    for (count, size) in [(160, 50_000), (1, 3_500_000)] {
        let rounds = count * size / STANDARD;
        let limit = ROUND * u32::try_from(rounds)? / 2;
        let begun = Instant::now();
        let mut sending = JoinSet::new();
        for _ in 0..count {
            let client = client.clone();
            sending.spawn(async move { send(&client, size).await });
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        let time = begun.elapsed();
        assert!(time > ROUND, "the network is not slow: {time:?}");
        assert!(
            time < limit,
            "{count} of {size} bytes: {time:?}, may take {limit:?}"
        );
    }
    Ok(())
}

/// A client over TLS, and the certificate that it was shown.
async fn secured(connector: &TlsConnector, address: SocketAddr) -> Result<(GrpcClient, Vec<u8>)> {
    let stream = connect_by_tls(connector, address, NAME, b"").await?;
    stream.get_ref().0.set_nodelay(true)?;
    let certificate = shown(&stream)?.to_vec();
    let client = GrpcClient::connect_over(stream, "secured", client::Builder::new()).await?;
    Ok((client, certificate))
}

/// Sends until it is enough; returns how often.
async fn keep_sending(client: GrpcClient, enough: watch::Receiver<bool>) -> Result<u32> {
    let mut count = 0;
    while !*enough.borrow() {
        send(&client, 100).await?;
        count += 1;
        sleep(Duration::from_millis(5)).await;
    }
    Ok(count)
}

/// Complaint 23: TLS and plain text on one port, while certificates are exchanged twenty times.
#[tokio::test]
async fn certificates_are_exchanged_under_load() -> Result<()> {
    let (authority, folder) = (Authority::new()?, TempDir::new()?);
    let (certificate, key) = authority.issue(NAME)?.write(folder.path())?;
    let world = world(&format!(
        "workers = 1\n[tls]\nmode = \"permissive\"\n[[tls.certificate]]\n\
         certificate = {certificate:?}\nkey = {key:?}\n"
    ))
    .await?;
    let address = world.proxy.address();
    // With ALPN, as clients have it, and without.
    let mut config = (**authority.connector(None)?.config()).clone();
    let silent = TlsConnector::from(Arc::new(config.clone()));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let plain = connect(&world, "plain").await?;
    let (over_tls, _) = secured(&connector, address).await?;
    // A poll that is open all the time.
    world.a.on(RequestCode::POP_MESSAGE, Reply::Silence);
    let (poll, _stream) = plain.open("ReceiveMessage", &receiving("g")).await?;
    let poll = tokio::spawn(Answers::of(poll));
    let (stop, enough) = watch::channel(false);
    let sending: Vec<_> = [plain, over_tls]
        .into_iter()
        .map(|client| tokio::spawn(keep_sending(client, enough.clone())))
        .collect();
    for nth in 0..20 {
        let issued = authority.issue(NAME)?;
        issued.write(folder.path())?;
        world.proxy.signal(Signal::Reload);
        let expected = issued.der()?.to_vec();
        let is_shown = async {
            loop {
                for connector in [&connector, &silent] {
                    let (client, certificate) = secured(connector, address).await?;
                    send(&client, 100).await?;
                    if certificate == expected {
                        return anyhow::Ok(());
                    }
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let is_shown = timeout(Duration::from_secs(10), is_shown).await;
        is_shown.with_context(|| format!("certificate {nth} is not shown"))??;
        send(&connect(&world, "new").await?, 100).await?;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(!poll.is_finished(), "the poll has ended");
    stop.send(true)?;
    for sending in sending {
        let count = sending.await??;
        assert!(count >= 20, "{count} sends only");
    }
    Ok(())
}
