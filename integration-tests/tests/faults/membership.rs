//! Lanes: what brokers know of clients.

use std::time::Duration;

use anyhow::Result;
use integration_tests::fake::{RawClient, Reply, request};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use tokio::time::Instant;

use crate::World;
use crate::relay::send;

pub(crate) fn heartbeat(opaque: i32, id: &str, model: &str) -> RemotingCommand {
    let body = format!(
        r#"{{"clientID":"{id}","consumerDataSet":[{{"groupName":"g","messageModel":"{model}","subscriptionDataSet":[{{"topic":"both","subString":"*"}}]}}],"producerDataSet":[{{"groupName":"p"}}]}}"#
    );
    request(RequestCode::HEART_BEAT, opaque, &[]).with_body(body)
}

pub(crate) fn pull(opaque: i32) -> RemotingCommand {
    let fields = [
        ("topic", "both"),
        ("consumerGroup", "g"),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", "2"),
        ("suspendTimeoutMillis", "15000"),
        ("bname", "broker-a"),
    ];
    request(RequestCode::PULL_MESSAGE, opaque, &fields)
}

pub(crate) async fn member(world: &World, id: &str) -> Result<RawClient> {
    let mut client = world.proxy.client().await?;
    let answer = client.call(&heartbeat(1, id, "CLUSTERING")).await?;
    assert_eq!(answer.code, ResponseCode::SUCCESS.0);
    Ok(client)
}

/// The connection over which a broker got the latest heartbeat of that client.
pub(crate) fn lane_of(broker: &integration_tests::fake::FakeBroker, id: &str) -> Option<u64> {
    let id = format!("\"clientID\":\"{id}\"");
    let mut heartbeats = broker.received(RequestCode::HEART_BEAT).into_iter().rev();
    heartbeats
        .find(|one| String::from_utf8_lossy(&one.command.body).contains(&id))
        .map(|one| one.connection)
}

#[tokio::test]
async fn a_heartbeat_reaches_every_broker_of_its_topics_once() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    // A client sends its heartbeat once per broker, all to one address.
    for opaque in 1..4 {
        let beat = heartbeat(opaque, "c1", "CLUSTERING");
        assert_eq!(client.call(&beat).await?.code, ResponseCode::SUCCESS.0);
    }
    for broker in [&world.a, &world.b] {
        let heartbeats = broker.received(RequestCode::HEART_BEAT);
        assert_eq!(heartbeats.len(), 1);
        assert_eq!(
            heartbeats[0].command.body,
            heartbeat(0, "c1", "CLUSTERING").body
        );
    }
    // A changed heartbeat is forwarded immediately.
    client.call(&heartbeat(5, "c1", "BROADCASTING")).await?;
    assert_eq!(world.a.received(RequestCode::HEART_BEAT).len(), 2);
    Ok(())
}

#[tokio::test]
async fn the_same_heartbeat_under_another_key_is_judged_anew() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let signed = |opaque, signature: &'static str| {
        heartbeat(opaque, "c1", "CLUSTERING")
            .with_field("AccessKey", "k")
            .with_field("Signature", signature)
    };
    for opaque in 1..4 {
        assert_eq!(client.call(&signed(opaque, "good")).await?.code, 0);
    }
    assert_eq!(world.a.received(RequestCode::HEART_BEAT).len(), 1);
    let refused = RemotingCommand::response(ResponseCode::NO_PERMISSION, 0, SerializeType::Json)
        .with_remark("check signature failed");
    for broker in [&world.a, &world.b] {
        broker.on(RequestCode::HEART_BEAT, Reply::Command(refused.clone()));
    }
    let answer = client.call(&signed(5, "bad")).await?;
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (
            ResponseCode::NO_PERMISSION.0,
            Some("check signature failed")
        )
    );
    // A lane that is opened again sends the latest heartbeat.
    for broker in [&world.a, &world.b] {
        broker.on(RequestCode::HEART_BEAT, Reply::Mirror);
    }
    assert_eq!(client.call(&signed(6, "new")).await?.code, 0);
    let heartbeats = world.a.received(RequestCode::HEART_BEAT);
    let signatures: Vec<_> = heartbeats
        .iter()
        .map(|one| one.command.field("Signature"))
        .collect();
    assert_eq!(signatures, [Some("good"), Some("bad"), Some("new")]);
    Ok(())
}

/// A broker answers immediately a client that it has refused: no request waits for another verdict.
#[tokio::test]
async fn a_client_that_is_refused_does_not_wait() -> Result<()> {
    let world = World::start().await?;
    let refused = RemotingCommand::response(ResponseCode::NO_PERMISSION, 0, SerializeType::Json)
        .with_remark("no such user");
    for code in [RequestCode::HEART_BEAT, RequestCode::PULL_MESSAGE] {
        world.a.on(code, Reply::Command(refused.clone()));
        world.b.on(code, Reply::Command(refused.clone()));
    }
    let mut client = world.proxy.client().await?;
    let answer = client.call(&heartbeat(1, "c1", "CLUSTERING")).await?;
    assert_eq!(answer.code, ResponseCode::NO_PERMISSION.0);
    let begun = tokio::time::Instant::now();
    let answer = client.call(&pull(2)).await?;
    assert_eq!(answer.remark.as_deref(), Some("no such user"));
    assert!(begun.elapsed() < Duration::from_millis(500));
    // It is asked again when it speaks again.
    for code in [RequestCode::HEART_BEAT, RequestCode::PULL_MESSAGE] {
        world.a.on(code, Reply::Mirror);
        world.b.on(code, Reply::Mirror);
    }
    assert_eq!(
        client.call(&heartbeat(3, "c1", "CLUSTERING")).await?.code,
        0
    );
    assert_eq!(client.call(&pull(4)).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_that_overtakes_a_lane_s_beginning_is_said_too() -> Result<()> {
    let world = World::start().await?;
    let slow = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json);
    let slow = Reply::Late(Duration::from_millis(300), slow);
    world.a.on(RequestCode::HEART_BEAT, slow);
    let mut client = world.proxy.client().await?;
    client.send(&heartbeat(1, "c1", "CLUSTERING")).await?;
    world.a.wait_received(RequestCode::HEART_BEAT, 1).await?;
    let newer = heartbeat(2, "c1", "BROADCASTING");
    client.send(&newer).await?;
    for _ in 0..2 {
        assert_eq!(client.receive().await?.code, ResponseCode::SUCCESS.0);
    }
    let heartbeats = world.a.received(RequestCode::HEART_BEAT);
    assert_eq!(
        heartbeats.last().map(|one| &one.command.body),
        Some(&newer.body)
    );
    Ok(())
}

#[tokio::test]
async fn a_lane_on_which_a_broker_is_slow_is_not_given_up() -> Result<()> {
    let world = World::with("workers = 1\n[timeouts]\nconnect_ms = 100\n").await?;
    let late = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json);
    let late = Reply::Late(Duration::from_secs(3), late);
    world.a.on(RequestCode::HEART_BEAT, late);
    let mut client = world.proxy.client().await?;
    let begun = Instant::now();
    // The other broker has taken it.
    let answer = client.call(&heartbeat(1, "c1", "CLUSTERING")).await?;
    assert_eq!(answer.code, ResponseCode::SUCCESS.0);
    assert!(begun.elapsed() < Duration::from_secs(2));
    let lane = lane_of(&world.a, "c1");
    tokio::time::sleep_until(begun + Duration::from_millis(3500)).await;
    // A real broker would list the client twice for two minutes if that connection had been closed
    // meanwhile.
    assert_eq!(world.a.received(RequestCode::HEART_BEAT).len(), 1);
    let changed = request(
        RequestCode::NOTIFY_CONSUMER_IDS_CHANGED,
        1,
        &[("consumerGroup", "g")],
    );
    world.a.say(lane.unwrap(), changed.oneway())?;
    let heard = client.receive().await?;
    assert_eq!(heard.code, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0);
    assert_eq!(client.call(&pull(2)).await?.code, ResponseCode::SUCCESS.0);
    Ok(())
}

#[tokio::test]
async fn what_a_broker_says_reaches_the_client_whose_lane_it_is() -> Result<()> {
    let world = World::start().await?;
    let mut one = member(&world, "c1").await?;
    let mut other = member(&world, "c2").await?;
    let (lane_one, lane_other) = (lane_of(&world.a, "c1"), lane_of(&world.a, "c2"));
    assert_ne!(lane_one, lane_other);
    let changed = request(
        RequestCode::NOTIFY_CONSUMER_IDS_CHANGED,
        0,
        &[("consumerGroup", "g")],
    );
    world.a.say(lane_other.unwrap(), changed.oneway())?;
    let heard = other.receive().await?;
    assert_eq!(heard.code, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0);
    assert_eq!(heard.field("consumerGroup"), Some("g"));

    // Two brokers ask under the same opaque; each gets its own answer.
    for broker in [&world.a, &world.b] {
        let ask = request(
            RequestCode::GET_CONSUMER_RUNNING_INFO,
            7,
            &[("who", broker.name())],
        );
        broker.say(lane_of(broker, "c1").unwrap(), ask)?;
    }
    for _ in 0..2 {
        let asked = one.receive().await?;
        let answer =
            RemotingCommand::response(ResponseCode::SUCCESS, asked.opaque, SerializeType::Json);
        one.send(&answer.with_body(asked.field("who").unwrap().to_owned()))
            .await?;
    }
    for broker in [&world.a, &world.b] {
        let answer = broker.wait_received(RequestCode(0), 1).await?;
        assert_eq!(answer[0].command.opaque.0, 7);
        assert_eq!(answer[0].command.body, broker.name());
    }
    assert!(other.hears_nothing_for(Duration::from_millis(100)).await?);
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_is_forgotten_at_once() -> Result<()> {
    let world = World::start().await?;
    let client = member(&world, "c1").await?;
    let stays = member(&world, "c2").await?;
    let lanes = (
        lane_of(&world.a, "c1").unwrap(),
        lane_of(&world.b, "c1").unwrap(),
    );
    drop(client);
    world.a.wait_closed(lanes.0).await?;
    world.b.wait_closed(lanes.1).await?;
    drop(stays);
    Ok(())
}

#[tokio::test]
async fn a_lane_that_is_lost_begins_again_with_what_holds() -> Result<()> {
    let mut world = World::start().await?;
    let mut client = member(&world, "c1").await?;
    let fields = [("clientID", "c1"), ("producerGroup", "p")];
    let leave = request(RequestCode::UNREGISTER_CLIENT, 2, &fields);
    // Once per broker, as clients do; relayed once.
    for _ in 0..2 {
        assert_eq!(client.call(&leave).await?.code, ResponseCode::SUCCESS.0);
    }
    assert_eq!(world.a.received(RequestCode::UNREGISTER_CLIENT).len(), 1);
    world.a.stop().await;
    world.a.start_again().await?;
    let heartbeats = world.a.wait_received(RequestCode::HEART_BEAT, 2).await?;
    let left = world
        .a
        .wait_received(RequestCode::UNREGISTER_CLIENT, 2)
        .await?;
    assert_eq!(heartbeats[1].connection, left[1].connection);
    assert_ne!(heartbeats[1].connection, heartbeats[0].connection);
    // The client's next heartbeat does not name the group any more, and the group is not registered
    // again with it.
    client.call(&heartbeat(3, "c1", "CLUSTERING")).await?;
    assert_eq!(world.a.received(RequestCode::UNREGISTER_CLIENT).len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_pull_waits_until_the_broker_knows_the_consumer() -> Result<()> {
    let mut world = World::start().await?;
    let mut client = member(&world, "c1").await?;
    assert_eq!(client.call(&pull(2)).await?.code, ResponseCode::SUCCESS.0);
    world.a.stop().await;
    world.a.start_again().await?;
    assert_eq!(client.call(&pull(3)).await?.code, ResponseCode::SUCCESS.0);
    // A broker that has just started knows no client: it got the heartbeat before the pull.
    let heartbeats = world.a.received(RequestCode::HEART_BEAT);
    assert_eq!(heartbeats.len(), 2);
    assert_eq!(world.a.received(RequestCode::PULL_MESSAGE).len(), 2);
    Ok(())
}

#[tokio::test]
async fn pulls_of_a_broadcast_consumer_go_over_its_lane() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    client.call(&heartbeat(1, "c1", "BROADCASTING")).await?;
    client.call(&pull(2)).await?;
    let pulled = world.a.received(RequestCode::PULL_MESSAGE);
    assert_eq!(Some(pulled[0].connection), lane_of(&world.a, "c1"));
    Ok(())
}

#[tokio::test]
async fn a_producer_is_known_where_it_has_sent() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let body = r#"{"clientID":"c1","producerDataSet":[{"groupName":"p"}]}"#;
    let heartbeat = request(RequestCode::HEART_BEAT, 3, &[]).with_body(body);
    // Before its heartbeat, and after.
    client.call(&send(1, "both", "broker-b")).await?;
    assert_eq!(client.call(&heartbeat).await?.code, ResponseCode::SUCCESS.0);
    assert_eq!(world.b.received(RequestCode::HEART_BEAT).len(), 1);
    assert!(world.a.received(RequestCode::HEART_BEAT).is_empty());
    client.call(&send(4, "both", "broker-a")).await?;
    world.a.wait_received(RequestCode::HEART_BEAT, 1).await?;
    Ok(())
}

#[tokio::test]
async fn the_consumer_list_is_the_brokers_own() -> Result<()> {
    let world = World::start().await?;
    let mut client = member(&world, "c1").await?;
    let ask = request(
        RequestCode::GET_CONSUMER_LIST_BY_GROUP,
        2,
        &[("consumerGroup", "g")],
    );
    assert_eq!(client.call(&ask).await?.code, ResponseCode::SUCCESS.0);
    assert_eq!(
        world
            .a
            .received(RequestCode::GET_CONSUMER_LIST_BY_GROUP)
            .len(),
        1
    );
    let other = request(
        RequestCode::GET_CONSUMER_LIST_BY_GROUP,
        3,
        &[("consumerGroup", "x")],
    );
    let answer = client.call(&other).await?;
    assert_eq!(answer.code, ResponseCode::SYSTEM_ERROR.0);
    assert!(answer.remark.unwrap().contains("no consumer of group x"));
    Ok(())
}

#[tokio::test]
async fn a_member_is_listed_once() -> Result<()> {
    let world = World::start().await?;
    let mut client = member(&world, "c1").await?;
    let code = RequestCode::GET_CONSUMER_LIST_BY_GROUP;
    let ask = request(code, 2, &[("consumerGroup", "g")]);
    // A broker lists a client by each of its connections, and forgets a dead one after two minutes.
    for (listed, wanted) in [
        (
            r#"{"consumerIdList":["c1","c2","c1"]}"#,
            r#"{"consumerIdList":["c1","c2"]}"#,
        ),
        (
            r#"{"consumerIdList": ["c2","c1"]}"#,
            r#"{"consumerIdList": ["c2","c1"]}"#,
        ),
        ("what is no list", "what is no list"),
    ] {
        let list = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json);
        world.a.on(code, Reply::Command(list.with_body(listed)));
        let answer = client.call(&ask).await?;
        assert_eq!((answer.opaque.0, &*answer.body), (2, wanted.as_bytes()));
    }
    Ok(())
}
