//! Sends whose broker cannot be had.

use std::time::Duration;

use anyhow::Result;
use integration_tests::fake::{RawClient, Reply, request};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode};
use tokio::time::Instant;

use crate::World;
use crate::relay::send;

const SEND: RequestCode = RequestCode::SEND_MESSAGE_V2;

/// A world without its first broker, which was there before.
async fn without_a(file: &str) -> Result<(World, RawClient)> {
    let world = World::with(file).await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(1, "both", "broker-a")).await?.code, 0);
    world.a.stop().await;
    Ok((world, client))
}

#[tokio::test]
async fn a_message_for_a_broker_that_is_gone_goes_to_another_as_it_is() -> Result<()> {
    let (world, mut client) = without_a("").await?;
    for opaque in 2..50 {
        let signed = send(opaque, "both", "broker-a").with_field("Signature", "s");
        assert_eq!(client.call(&signed).await?.code, 0, "send {opaque}");
    }
    // One-way messages have no answer: not even those with which the broker is tried again.
    for opaque in 50..60 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let oneway = send(opaque, "both", "broker-a").oneway();
        client.send(&oneway).await?;
    }
    let received = world.b.wait_received(SEND, 58).await?;
    for one in received.iter().take(48) {
        assert_eq!(one.command.field("n"), Some("broker-a"));
        assert_eq!(one.command.field("Signature"), Some("s"));
        assert_eq!(one.command.body, "hello");
    }
    // A send that names the other broker reaches it, too.
    assert_eq!(client.call(&send(60, "both", "broker-b")).await?.code, 0);
    Ok(())
}

/// A broker that answers nothing gets no requests after a while; until then, requests that it was
/// given are not given to another.
#[tokio::test]
async fn what_a_broker_was_given_goes_to_no_other() -> Result<()> {
    let world =
        World::with("workers = 1\n[timeouts]\nsend_ms = 200\n[breaker]\nfailures = 3\n").await?;
    let mut client = world.proxy.client().await?;
    for code in [SEND, RequestCode::CHECK_CLIENT_CONFIG] {
        world.a.on(code, Reply::Silence);
    }
    let begun = Instant::now();
    while world.b.received(SEND).is_empty() {
        let answer = client.call(&send(1, "both", "broker-a")).await?;
        let is_given = answer.code == ResponseCode::SYSTEM_BUSY.0;
        assert!(is_given || !world.b.received(SEND).is_empty());
        assert!(begun.elapsed() < Duration::from_secs(4));
    }
    let given = world.a.received(SEND).len();
    for opaque in 4..7 {
        let begun = Instant::now();
        let answer = client.call(&send(opaque, "both", "broker-a")).await?;
        assert_eq!(answer.code, 0);
        assert!(begun.elapsed() < Duration::from_millis(150));
    }
    assert_eq!(
        (world.a.received(SEND).len(), world.b.received(SEND).len()),
        (given, 4)
    );
    // Nor are requests that are outstanding when their broker stops.
    world.b.on(SEND, Reply::Silence);
    client.send(&send(9, "both", "broker-b")).await?;
    world.b.wait_received(SEND, 5).await?;
    world.b.stop().await;
    assert_eq!(
        client.receive().await?.code,
        ResponseCode::SERVICE_NOT_AVAILABLE.0
    );
    assert_eq!(world.a.received(SEND).len(), given);
    Ok(())
}

#[tokio::test]
async fn what_belongs_to_one_broker_goes_to_no_other() -> Result<()> {
    let (world, mut client) = without_a("").await?;
    let message = |opaque| send(opaque, "both", "broker-a");
    let half = message(2).with_field("f", "4");
    let in_order = message(3).with_field("i", "__SHARDINGKEY\u{1}k\u{2}");
    let reply = RemotingCommand {
        code: RequestCode::SEND_REPLY_MESSAGE_V2.0,
        ..message(4)
    };
    let no_such_queue = message(5).with_field("e", "4");
    let one = send(6, "one", "broker-a");
    let fields = [("topic", "both"), ("queueId", "0"), ("bname", "broker-a")];
    let no_message = request(RequestCode::GET_MAX_OFFSET, 7, &fields);
    for command in [half, in_order, reply, no_such_queue, one, no_message] {
        let answer = client.call(&command).await?;
        let code = ResponseCode::SERVICE_NOT_AVAILABLE.0;
        assert_eq!(answer.code, code, "{command:?}");
    }
    assert!(world.b.received(SEND).is_empty());
    let (world, mut client) = without_a("send_elsewhere = false\n").await?;
    let answer = client.call(&message(8)).await?;
    assert_eq!(answer.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    assert!(world.b.received(SEND).is_empty());
    Ok(())
}
