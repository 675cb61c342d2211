//! Heartbeats: what one client's cost others, and what a lane does without an answer.

use std::time::Duration;

use anyhow::Result;
use integration_tests::fake::{Reply, request};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use tokio::time::Instant;

use crate::World;
use crate::membership::{heartbeat, lane_of, member, pull};
use crate::relay::send;

/// A heartbeat of about that many bytes.
fn long_heartbeat(id: usize, round: usize, bytes: usize) -> RemotingCommand {
    let rest = "x".repeat(bytes);
    let body = format!(
        r#"{{"clientID":"c{id}","consumerDataSet":[{{"groupName":"g","subscriptionDataSet":[{{"topic":"both"}}]}}],"v":"{round}-{rest}"}}"#
    );
    request(RequestCode::HEART_BEAT, 1, &[]).with_body(body)
}

fn bytes_of(commands: impl IntoIterator<Item = RemotingCommand>) -> usize {
    let lengths = commands.into_iter().map(|one| one.to_bytes().len());
    lengths.sum()
}

/// The heartbeats and unregistrations that both brokers got.
fn forwarded(world: &World) -> Vec<RemotingCommand> {
    let mut forwarded = Vec::new();
    for code in [RequestCode::HEART_BEAT, RequestCode::UNREGISTER_CLIENT] {
        for broker in [&world.a, &world.b] {
            forwarded.extend(broker.received(code).into_iter().map(|one| one.command));
        }
    }
    forwarded
}

#[tokio::test]
async fn one_id_s_heartbeat_does_not_have_the_others_said_again() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let mut sent = 0;
    for round in 0..10 {
        for id in 0..8 {
            let beat = long_heartbeat(id, round, 5000);
            assert_eq!(client.call(&beat).await?.code, ResponseCode::SUCCESS.0);
            sent += bytes_of([beat]);
        }
    }
    let forwarded = bytes_of(forwarded(&world));
    assert!(forwarded >= 2 * sent, "{forwarded} bytes for {sent}");
    assert!(forwarded <= 2 * 2 * sent, "{forwarded} bytes for {sent}");
    Ok(())
}

#[tokio::test]
async fn a_refused_id_does_not_have_the_others_said_again() -> Result<()> {
    let world = World::start().await?;
    let refused = RemotingCommand::response(ResponseCode::NO_PERMISSION, 0, SerializeType::Json);
    for broker in [&world.a, &world.b] {
        broker.on(RequestCode::HEART_BEAT, Reply::Command(refused.clone()));
    }
    let mut client = world.proxy.client().await?;
    let mut sent = 0;
    for id in [0, 1, 2, 0, 1, 2] {
        let beat = long_heartbeat(id, 0, 5000);
        let answer = client.call(&beat).await?;
        assert_eq!(answer.code, ResponseCode::NO_PERMISSION.0);
        sent += bytes_of([beat]);
    }
    let forwarded = bytes_of(forwarded(&world));
    assert!(forwarded <= 2 * 2 * sent, "{forwarded} bytes for {sent}");
    Ok(())
}

/// A heartbeat with topic `one`, which only the first broker has.
fn heartbeat_one(id: usize) -> RemotingCommand {
    let body = format!(
        r#"{{"clientID":"c{id}","consumerDataSet":[{{"groupName":"g","subscriptionDataSet":[{{"topic":"one"}}]}}]}}"#
    );
    request(RequestCode::HEART_BEAT, 1, &[]).with_body(body)
}

#[tokio::test]
async fn heartbeats_that_want_no_answer_hold_up_nobody() -> Result<()> {
    let world = World::start().await?;
    let mut clients = Vec::new();
    for id in 0..600 {
        let mut client = world.proxy.client().await?;
        client.send(&heartbeat_one(id).oneway()).await?;
        clients.push(client);
    }
    let begun = Instant::now();
    let mut other = world.proxy.client().await?;
    let answer = other.call(&heartbeat_one(1000)).await?;
    assert_eq!(answer.code, ResponseCode::SUCCESS.0);
    assert!(begun.elapsed() < Duration::from_secs(3));
    // A broker is asked for an answer, and the client gets none.
    let forwarded = world.a.wait_received(RequestCode::HEART_BEAT, 601).await?;
    assert!(forwarded.iter().all(|one| one.command.flag == 0));
    let leave = [("clientID", "c0"), ("consumerGroup", "g")];
    let leave = request(RequestCode::UNREGISTER_CLIENT, 2, &leave).oneway();
    clients[0].send(&leave).await?;
    let left = world
        .a
        .wait_received(RequestCode::UNREGISTER_CLIENT, 1)
        .await?;
    assert_eq!(left[0].command.flag, 0);
    assert!(
        clients[0]
            .hears_nothing_for(Duration::from_millis(200))
            .await?
    );
    Ok(())
}

#[tokio::test]
async fn heartbeats_that_a_broker_leaves_unanswered_hold_up_nobody() -> Result<()> {
    let world = World::start().await?;
    world.a.on(RequestCode::HEART_BEAT, Reply::Silence);
    let mut clients = Vec::new();
    for id in 0..600 {
        let mut client = world.proxy.client().await?;
        client.send(&heartbeat_one(id)).await?;
        clients.push(client);
    }
    world.a.wait_received(RequestCode::HEART_BEAT, 600).await?;
    world.a.on(RequestCode::HEART_BEAT, Reply::Mirror);
    let begun = Instant::now();
    let mut other = world.proxy.client().await?;
    let answer = other.call(&heartbeat_one(1000)).await?;
    assert_eq!(answer.code, ResponseCode::SUCCESS.0);
    assert!(begun.elapsed() < Duration::from_secs(3));
    Ok(())
}

#[tokio::test]
async fn a_lane_that_falls_silent_is_made_again() -> Result<()> {
    let world = World::start().await?;
    let mut client = member(&world, "c1").await?;
    let old = lane_of(&world.a, "c1").unwrap();
    for code in [RequestCode::HEART_BEAT, RequestCode::CHECK_CLIENT_CONFIG] {
        world.a.on(code, Reply::Silence);
    }
    let begun = Instant::now();
    let changed = heartbeat(2, "c1", "BROADCASTING");
    client.send(&changed).await?;
    world.a.wait_received(RequestCode::HEART_BEAT, 2).await?;
    // Over another connection the broker would answer.
    world.a.on(RequestCode::HEART_BEAT, Reply::Mirror);
    // The other broker has.
    assert_eq!(client.receive().await?.code, ResponseCode::SUCCESS.0);
    assert!(begun.elapsed() < Duration::from_secs(3));
    let forwarded = world.a.wait_received(RequestCode::HEART_BEAT, 3).await?;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(forwarded[1].connection, old);
    assert_ne!(forwarded[2].connection, old);
    assert_eq!(forwarded[2].command.body, changed.body);
    world.a.wait_closed(old).await?;
    // A broadcast consumer's pulls go over it.
    assert_eq!(client.call(&pull(3)).await?.code, ResponseCode::SUCCESS.0);
    let pulled = world.a.received(RequestCode::PULL_MESSAGE);
    assert_eq!(pulled[0].connection, forwarded[2].connection);
    Ok(())
}

#[tokio::test]
async fn a_lane_on_which_a_broker_only_leaves_heartbeats_is_kept() -> Result<()> {
    let world = World::start().await?;
    let mut client = member(&world, "c1").await?;
    let lane = lane_of(&world.a, "c1").unwrap();
    world.a.on(RequestCode::HEART_BEAT, Reply::Silence);
    let changed = heartbeat(2, "c1", "BROADCASTING");
    assert_eq!(client.call(&changed).await?.code, ResponseCode::SUCCESS.0);
    let code = RequestCode::CHECK_CLIENT_CONFIG;
    let probe = world.a.wait_received(code, 1).await?;
    assert_eq!(probe[0].connection, lane);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.a.received(RequestCode::HEART_BEAT).len(), 2);
    let fields = [("consumerGroup", "g")];
    let ask = request(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED, 1, &fields);
    world.a.say(lane, ask.oneway())?;
    let heard = client.receive().await?;
    assert_eq!(heard.code, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0);
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_with_many_topics_does_not_keep_others_waiting() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let mut other = world.proxy.client().await?;
    let quick = |opaque| send(opaque, "both", "broker-a");
    other.call(&quick(1)).await?;
    let topics: Vec<_> = (0..20_000)
        .map(|topic| {
            format!(r#"{{"topic":"topic-{topic}","subString":"*","tagsSet":[],"codeSet":[]}}"#)
        })
        .collect();
    let body = format!(
        r#"{{"clientID":"c1","consumerDataSet":[{{"groupName":"g","subscriptionDataSet":[{{"topic":"both"}},{}]}}]}}"#,
        topics.join(",")
    );
    assert!(body.len() > 1024 * 1024);
    let long = request(RequestCode::HEART_BEAT, 1, &[]).with_body(body);
    let mut client = world.proxy.client().await?;
    client.send(&long).await?;
    let answered = tokio::spawn(async move { client.receive().await });
    let mut waited = Vec::new();
    for opaque in 2.. {
        let begun = Instant::now();
        other.call(&quick(opaque)).await?;
        waited.push(begun.elapsed());
        if answered.is_finished() {
            break;
        }
    }
    assert_eq!(answered.await??.code, ResponseCode::SUCCESS.0);
    waited.sort_unstable();
    // This is no release, and the machine may have more to do; without turns it is seconds.
    let most = waited[waited.len() * 99 / 100];
    assert!(most < Duration::from_millis(50), "{most:?}");
    assert_eq!(world.a.received(RequestCode::HEART_BEAT).len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_over_the_limit_is_refused_and_says_why() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let answer = client.call(&long_heartbeat(1, 0, 3 * 1024 * 1024)).await?;
    assert_eq!(answer.code, ResponseCode::SUCCESS.0);
    let answer = client.call(&long_heartbeat(2, 0, 5 * 1024 * 1024)).await?;
    assert_eq!(answer.code, ResponseCode::SYSTEM_ERROR.0);
    let remark = answer.remark.unwrap();
    assert!(remark.contains("limits.heartbeat_bytes"), "{remark}");
    assert_eq!(world.a.received(RequestCode::HEART_BEAT).len(), 1);
    Ok(())
}
