//! Routes: how fresh they are, and what made-up topics cost others.

use std::time::Duration;

use anyhow::Result;
use integration_tests::fake::{RawClient, request};
use remoting_codec::body::TopicRouteData;
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode};
use tokio::time::Instant;

use crate::World;
use crate::relay::send;

fn route_of(opaque: i32, topic: String) -> RemotingCommand {
    request(RequestCode::GET_ROUTEINFO_BY_TOPIC, opaque, &[]).with_field("topic", topic)
}

async fn route_code(client: &mut RawClient, topic: &str) -> Result<i32> {
    Ok(client.call(&route_of(1, topic.to_owned())).await?.code)
}

async fn brokers(
    client: &mut RawClient,
    fields: &[(&'static str, &'static str)],
) -> Result<String> {
    let ask = request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 2, fields);
    let route = TopicRouteData::decode(&client.call(&ask).await?.body)?;
    let names = route.broker_datas.into_iter().map(|data| data.broker_name);
    Ok(names.collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn a_topic_is_seen_as_soon_as_a_name_server_has_it() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    for nth in 0..20 {
        let topic = format!("new-{nth}");
        let none = ResponseCode::TOPIC_NOT_EXIST.0;
        assert_eq!(route_code(&mut client, &topic).await?, none);
        world.name_server.add_topic(&topic, &["broker-a"]);
        assert_eq!(route_code(&mut client, &topic).await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn one_that_asks_later_is_not_answered_with_what_was_so_before() -> Result<()> {
    let world = World::start().await?;
    let mut early = world.proxy.client().await?;
    let mut late = world.proxy.client().await?;
    world.name_server.set_delay(Duration::from_millis(300));
    early.send(&route_of(1, "new".into())).await?;
    // The name server has made up its mind, and its answer is under way.
    tokio::time::sleep(Duration::from_millis(150)).await;
    world.name_server.add_topic("new", &["broker-a"]);
    assert_eq!(route_code(&mut late, "new").await?, 0);
    assert_eq!(early.receive().await?.code, ResponseCode::TOPIC_NOT_EXIST.0);
    Ok(())
}

#[tokio::test]
async fn what_is_changed_through_the_proxy_is_seen_at_once() -> Result<()> {
    let world = World::with("admin_relay = true\n").await?;
    let mut client = world.proxy.client().await?;
    let both = [("topic", "both")];
    assert_eq!(brokers(&mut client, &both).await?, "broker-a broker-b");
    // A topic that is changed.
    world.name_server.add_topic("both", &["broker-b"]);
    assert_eq!(brokers(&mut client, &both).await?, "broker-a broker-b");
    let change = [("topic", "both"), ("defaultTopic", "one")];
    let change = request(RequestCode::UPDATE_AND_CREATE_TOPIC, 3, &change);
    assert_eq!(client.call(&change).await?.code, 0);
    assert_eq!(brokers(&mut client, &both).await?, "broker-b");
    // One that is deleted.
    world.name_server.forget_topics();
    let delete = request(RequestCode::DELETE_TOPIC_IN_NAMESRV, 4, &both);
    client.call(&delete).await?;
    let none = ResponseCode::TOPIC_NOT_EXIST.0;
    assert_eq!(route_code(&mut client, "both").await?, none);
    // A broker, so that all topics may be others now.
    world
        .name_server
        .add_topic("both", &["broker-a", "broker-b"]);
    assert_eq!(brokers(&mut client, &both).await?, "broker-a broker-b");
    world.name_server.add_topic("both", &["broker-a"]);
    let wipe = [("brokerName", "broker-b")];
    client
        .call(&request(RequestCode::WIPE_WRITE_PERM_OF_BROKER, 5, &wipe))
        .await?;
    assert_eq!(brokers(&mut client, &both).await?, "broker-a");
    Ok(())
}

#[tokio::test]
async fn a_client_in_a_zone_sees_that_zone() -> Result<()> {
    let world = World::start().await?;
    world.name_server.set_zone("broker-a", "left");
    world.name_server.set_zone("broker-b", "right");
    let mut client = world.proxy.client().await?;
    let zoned = |mode, zone| {
        [
            ("topic", "both"),
            ("__ZONE_MODE", mode),
            ("__ZONE_NAME", zone),
        ]
    };
    let left = zoned("true", "Left");
    assert_eq!(brokers(&mut client, &left).await?, "broker-a");
    let right = zoned("TRUE", "right");
    assert_eq!(brokers(&mut client, &right).await?, "broker-b");
    assert_eq!(brokers(&mut client, &zoned("true", "none")).await?, "");
    for all in [
        zoned("false", "left"),
        zoned("true", " "),
        zoned("1", "left"),
    ] {
        assert_eq!(brokers(&mut client, &all).await?, "broker-a broker-b");
    }
    Ok(())
}

#[tokio::test]
async fn made_up_topics_delay_others_by_their_share() -> Result<()> {
    let world = World::start().await?;
    let mut healthy = world.proxy.client().await?;
    assert_eq!(route_code(&mut healthy, "both").await?, 0);
    assert_eq!(healthy.call(&send(1, "both", "broker-a")).await?.code, 0);
    world.name_server.set_delay(Duration::from_millis(400));
    let mut attackers = Vec::new();
    for attacker in 0..4 {
        let mut client = world.proxy.client().await?;
        attackers.push(tokio::spawn(async move {
            for nth in 0..1000 {
                let topic = format!("made-up-{attacker}-{nth}");
                if client.send(&route_of(nth, topic)).await.is_err() {
                    return;
                }
                if nth % 20 == 0 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            while client.receive().await.is_ok() {}
        }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Four have 32 under way each; in the time of one question these may be answered, and as many
    // come after them. Without their share there would be hundreds before each.
    const SHARE: usize = 4 * 32;
    let mut most = (0, 0);
    for nth in 0..4 {
        let before = world.name_server.asked_in_all();
        assert_eq!(healthy.call(&send(2, "both", "broker-a")).await?.code, 0);
        assert_eq!(route_code(&mut healthy, "both").await?, 0);
        let known = world.name_server.asked_in_all();
        let none = ResponseCode::TOPIC_NOT_EXIST.0;
        let topic = format!("honest-{nth}");
        let answer = healthy.call(&route_of(3, topic)).await?;
        assert_eq!(answer.code, none, "{:?}", answer.remark);
        let unknown = world.name_server.asked_in_all();
        most = (most.0.max(known - before), most.1.max(unknown - known));
    }
    assert!(most.0 <= 3 * SHARE && most.1 <= 4 * SHARE, "{most:?}");
    // Each of them had look-ups under way all the time, and none more than its share.
    let busiest = world.name_server.busiest();
    assert!((100..=SHARE + 8).contains(&busiest), "{busiest}");
    for attacker in attackers {
        attacker.abort();
    }
    Ok(())
}

#[tokio::test]
async fn what_a_name_server_does_not_answer_costs_others_nothing() -> Result<()> {
    let world = World::with("admin_relay = true\n").await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(route_code(&mut client, "both").await?, 0);
    let connections = world.name_server.connections();
    // One-way: there is no answer, and no request waits for one.
    let get = [("namespace", "n"), ("key", "k")];
    let oneway = request(RequestCode::GET_KV_CONFIG, 1, &get).oneway();
    client.send(&oneway).await?;
    let put = request(RequestCode::PUT_KV_CONFIG, 1, &get).oneway();
    client.send(&put).await?;
    // Unanswered: others go on over the same connection.
    world
        .name_server
        .leave_unanswered(RequestCode::GET_TOPICS_BY_CLUSTER);
    let ask = request(RequestCode::GET_TOPICS_BY_CLUSTER, 2, &[("cluster", "c")]);
    client.send(&ask).await?;
    let mut other = world.proxy.client().await?;
    let begun = Instant::now();
    let none = ResponseCode::TOPIC_NOT_EXIST.0;
    for nth in 0..100 {
        let topic = format!("other-{nth}");
        assert_eq!(route_code(&mut other, &topic).await?, none);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(3500));
    assert_eq!(client.receive().await?.opaque.0, 2);
    assert_eq!(world.name_server.connections(), connections);
    let refused = world.name_server.refused();
    for code in [RequestCode::GET_KV_CONFIG, RequestCode::PUT_KV_CONFIG] {
        assert!(refused.contains(&code.0), "{refused:?}");
    }
    Ok(())
}
