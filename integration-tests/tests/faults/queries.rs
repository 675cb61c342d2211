//! Messages looked for by key, where all brokers are behind one address.

use anyhow::Result;
use integration_tests::fake::{RawClient, Reply, request};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};

use crate::World;

/// A stored message as far as Remora looks: its length, and the rest.
fn message(text: &str) -> Vec<u8> {
    let length = u32::try_from(4 + text.len()).unwrap_or_default();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn found(indexed: &'static str, text: &str) -> Reply {
    let answer = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
        .with_field("indexLastUpdateTimestamp", indexed)
        .with_body(message(text));
    Reply::Command(answer)
}

fn query(opaque: i32, key: &'static str) -> RemotingCommand {
    let fields = [
        ("topic", "both"),
        ("key", key),
        ("maxNum", "32"),
        ("beginTimestamp", "0"),
        ("endTimestamp", "9000"),
        ("_UNIQUE_KEY_QUERY", "false"),
    ];
    request(RequestCode::QUERY_MESSAGE, opaque, &fields)
}

/// The bodies of that many answers.
async fn bodies(client: &mut RawClient, count: usize) -> Result<Vec<Vec<u8>>> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        bodies.push(client.receive().await?.body.to_vec());
    }
    bodies.sort();
    Ok(bodies)
}

async fn world() -> Result<World> {
    let world = World::start().await?;
    world.a.on(RequestCode::QUERY_MESSAGE, found("5", "a"));
    world.b.on(RequestCode::QUERY_MESSAGE, found("7", "b"));
    Ok(world)
}

#[tokio::test]
async fn who_asks_once_per_broker_gets_each_message_once() -> Result<()> {
    let world = world().await?;
    let mut client = world.proxy.client().await?;
    for _ in 0..3 {
        client.send(&query(1, "k")).await?;
        client.send(&query(2, "k")).await?;
        let each = [message("a"), message("b")];
        assert_eq!(bodies(&mut client, 2).await?, each);
    }
    assert_eq!(world.a.received(RequestCode::QUERY_MESSAGE).len(), 3);
    assert_eq!(world.b.received(RequestCode::QUERY_MESSAGE).len(), 3);
    Ok(())
}

#[tokio::test]
async fn two_who_ask_the_same_at_once_miss_nothing() -> Result<()> {
    let world = world().await?;
    let mut client = world.proxy.client().await?;
    let all = [message("a"), message("b")].concat();
    for opaque in 1..=4 {
        client.send(&query(opaque, "k")).await?;
    }
    assert_eq!(bodies(&mut client, 4).await?, vec![all.clone(); 4]);
    // One broker answers for all of them.
    assert_eq!(world.a.received(RequestCode::QUERY_MESSAGE).len(), 1);
    // A client that asks a single time finds everything, too.
    let answer = client.call(&query(5, "k")).await?;
    assert_eq!(answer.body, all);
    assert_eq!(answer.field("indexLastUpdateTimestamp"), Some("7"));
    // Different questions are different.
    client.send(&query(6, "k")).await?;
    client.send(&query(7, "other")).await?;
    assert_eq!(bodies(&mut client, 2).await?, vec![all; 2]);
    Ok(())
}
