//! The requests that Remora signs with its own key, and those that it does not.

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use integration_tests::fake::{FakeBroker, Reply, request};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};

use crate::World;
use crate::codes::{heartbeat, pop, popped};
use crate::relay::send;

/// A world whose proxy has a key, and the file that it is in.
async fn with_key() -> Result<(World, tempfile::NamedTempFile)> {
    let mut secret = tempfile::NamedTempFile::new()?;
    writeln!(secret, "a secret")?;
    let path = secret.path().display();
    let config = format!("[credentials]\naccess_key = \"remora\"\nsecret_key_file = \"{path}\"\n");
    Ok((World::with(&config).await?, secret))
}

/// Whose signature the requests of that code had, in the order in which they came.
fn signers(broker: &FakeBroker, code: RequestCode) -> Vec<Option<String>> {
    let received = broker.received(code).into_iter();
    received
        .map(|one| {
            let signed = one.command.field("Signature").is_some();
            let user = one.command.field("AccessKey").map(str::to_owned);
            user.filter(|_| signed)
        })
        .collect()
}

fn remora() -> Option<String> {
    Some("remora".to_owned())
}

#[tokio::test]
async fn what_is_given_back_is_signed() -> Result<()> {
    let (world, _secret) = with_key().await?;
    let mut client = world.proxy.client().await?;
    client.call(&heartbeat(1)).await?;
    let late = Reply::Late(Duration::from_millis(300), popped());
    world.a.on(RequestCode::POP_MESSAGE, late);
    client.send(&pop("15000")).await?;
    world.a.wait_received(RequestCode::POP_MESSAGE, 1).await?;
    drop(client);
    let code = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;
    world.a.wait_received(code, 3).await?;
    assert_eq!(signers(&world.a, code), vec![remora(); 3]);
    Ok(())
}

/// The group that a requester is registered under for replies is Remora's own. Only brokers that
/// have accepted the client's heartbeat get it.
#[tokio::test]
async fn the_group_for_replies_is_signed_where_the_client_is_known() -> Result<()> {
    let (world, _secret) = with_key().await?;
    let refused = RemotingCommand::response(ResponseCode::NO_PERMISSION, 0, SerializeType::Json);
    world.b.on(RequestCode::HEART_BEAT, Reply::Command(refused));
    let mut client = world.proxy.client().await?;
    let beat = |opaque| {
        let body =
            format!(r#"{{"clientID":"c1","producerDataSet":[{{"groupName":"p"}}],"v":{opaque}}}"#);
        request(RequestCode::HEART_BEAT, opaque, &[]).with_body(body)
    };
    client.call(&beat(1)).await?;
    let ask = send(2, "both", "broker-a").with_field("i", "REPLY_TO_CLIENT\u{1}c1\u{2}");
    assert_eq!(client.call(&ask).await?.code, 0);
    assert_eq!(client.call(&beat(3)).await?.code, 0);
    world.a.wait_received(RequestCode::HEART_BEAT, 3).await?;
    assert_eq!(
        signers(&world.a, RequestCode::HEART_BEAT),
        [None, None, remora()]
    );
    assert_eq!(client.call(&beat(4)).await?.code, 0);
    world.a.wait_received(RequestCode::HEART_BEAT, 5).await?;
    assert_eq!(
        signers(&world.a, RequestCode::UNREGISTER_CLIENT),
        [remora(), remora()]
    );
    let of_heartbeats = signers(&world.b, RequestCode::HEART_BEAT);
    assert!(
        !of_heartbeats.is_empty() && of_heartbeats.iter().all(Option::is_none),
        "{of_heartbeats:?}"
    );
    Ok(())
}

/// If Remora signed the registration of a client that has sent a half message, any client could get
/// a group's transaction checks.
#[tokio::test]
async fn nobody_is_stood_in_for_with_the_own_key() -> Result<()> {
    let (world, _secret) = with_key().await?;
    let mut client = world.proxy.client().await?;
    let half = send(1, "both", "broker-a").with_field("f", "4");
    assert_eq!(client.call(&half).await?.code, 0);
    assert_eq!(signers(&world.a, RequestCode::HEART_BEAT), [None]);
    Ok(())
}
