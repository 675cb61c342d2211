//! TLS to brokers and name servers.

use anyhow::Result;
use integration_tests::fake::{FakeBroker, FakeNameServer, ProxyUnderTest, RawClient, request};
use integration_tests::tls::{Authority, tls_to_plain};
use remoting_codec::{RequestCode, ResponseCode};
use tempfile::TempDir;

use crate::relay::send;

struct World {
    broker: FakeBroker,
    authority: Authority,
    _folder: TempDir,
    _name_server: FakeNameServer,
    proxy: ProxyUnderTest,
}

impl World {
    /// A broker and a name server behind a certificate for this machine; `settings` names the files
    /// as `{ca}`, `{pair}` and `{key}`.
    async fn start(settings: &str, asks: bool) -> Result<Self> {
        let (authority, folder) = (Authority::new()?, TempDir::new()?);
        let broker = FakeBroker::start("broker-a").await?;
        let name_server = FakeNameServer::start(&[]).await?;
        let acceptor = authority.acceptor(&authority.issue("servers")?, asks)?;
        let front = tls_to_plain(broker.address(), acceptor.clone()).await?;
        name_server.add_broker("broker-a", &[(0, front)]);
        name_server.add_topic("one", &["broker-a"]);
        let front = tls_to_plain(name_server.address(), acceptor).await?;
        let ca = authority.write(folder.path())?;
        let (certificate, key) = authority.issue("remora")?.write(folder.path())?;
        // Much is sent, and a machine may be busy.
        let mut file =
            format!("[timeouts]\nsend_ms = 9000\n[upstream_tls]\nmode = \"on\"\n{settings}\n");
        for (name, path) in [("{ca}", ca), ("{pair}", certificate), ("{key}", key)] {
            file = file.replace(name, &format!("{path:?}"));
        }
        Ok(Self {
            broker,
            authority,
            _folder: folder,
            _name_server: name_server,
            proxy: ProxyUnderTest::start(&[front], &file)?,
        })
    }
}

#[tokio::test]
async fn everything_goes_by_tls() -> Result<()> {
    for (settings, asks) in [
        ("verify = \"none\"", false),
        ("verify = \"ca\"\nca = {ca}", false),
        ("verify = \"full\"\nca = {ca}", false),
        ("ca = {ca}\ncertificate = {pair}\nkey = {key}", true),
    ] {
        let world = World::start(settings, asks).await?;
        let mut client = world.proxy.client().await?;
        for size in [0, 100, 20_000, 3_000_000] {
            let body = vec![b'x'; size];
            let message = send(1, "one", "broker-a").with_body(body.clone());
            let answer = client.call(&message).await?;
            assert!(
                answer.body == body,
                "{settings}, {size}: {:?}",
                answer.remark
            );
        }
        // A lane, too, and the broker's requests on it.
        let body = r#"{"clientID":"c1","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[{"groupName":"g","subscriptionDataSet":[{"topic":"one"}]}]}"#;
        let heartbeat = request(RequestCode::HEART_BEAT, 2, &[]).with_body(body);
        assert_eq!(client.call(&heartbeat).await?.code, 0);
        let lane = world
            .broker
            .wait_received(RequestCode::HEART_BEAT, 1)
            .await?;
        let notify = request(
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED,
            9,
            &[("consumerGroup", "g")],
        );
        world.broker.say(lane[0].connection, notify)?;
        let heard = client.receive().await?;
        assert_eq!(heard.code, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0);
        // The lane ends with the client.
        drop(client);
        world.broker.wait_closed(lane[0].connection).await?;
    }
    Ok(())
}

#[tokio::test]
async fn servers_that_cannot_be_trusted_are_not_talked_to() -> Result<()> {
    // Another authority than the one that has signed.
    let folder = TempDir::new()?;
    let other = Authority::new()?.write(folder.path())?;
    for (settings, asks) in [
        (format!("verify = \"ca\"\nca = {other:?}"), false),
        (format!("verify = \"full\"\nca = {other:?}"), false),
        // It wants a certificate, and is shown none.
        ("verify = \"none\"".to_owned(), true),
    ] {
        let world = World::start(&settings, asks).await?;
        let mut client = world.proxy.client().await?;
        let answer = client.call(&send(1, "one", "broker-a")).await?;
        assert_ne!(answer.code, ResponseCode::SUCCESS.0, "{settings}");
        assert!(
            world
                .broker
                .received(RequestCode::SEND_MESSAGE_V2)
                .is_empty()
        );
        drop(world.authority);
    }
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_is_not_talked_to() -> Result<()> {
    let broker = FakeBroker::start("broker-a").await?;
    let name_server = FakeNameServer::start(&[&broker]).await?;
    name_server.add_topic("one", &["broker-a"]);
    let proxy = ProxyUnderTest::start(
        &[name_server.address()],
        "[upstream_tls]\nmode = \"on\"\nverify = \"none\"\n",
    )?;
    let mut client: RawClient = proxy.client().await?;
    let answer = client.call(&send(1, "one", "broker-a")).await?;
    assert_ne!(answer.code, ResponseCode::SUCCESS.0);
    assert!(broker.received(RequestCode::SEND_MESSAGE_V2).is_empty());
    Ok(())
}
