//! Name servers that go.

use std::time::Duration;

use anyhow::Result;
use integration_tests::fake::{FakeBroker, FakeNameServer, ProxyUnderTest, RawClient, request};
use remoting_codec::body::TopicRouteData;
use remoting_codec::{RequestCode, ResponseCode};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::World;
use crate::relay::send;

async fn route_code(client: &mut RawClient, topic: &str) -> Result<i32> {
    let ask = request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 1, &[("topic", topic)]);
    Ok(client.call(&ask).await?.code)
}

#[tokio::test]
async fn known_topics_outlive_every_name_server() -> Result<()> {
    let world = World::with("[routes]\nrefresh_ms = 50\nexpire_ms = 100\n").await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(route_code(&mut client, "both").await?, 0);
    world.name_server.stop().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(route_code(&mut client, "both").await?, 0);
        assert_eq!(client.call(&send(2, "both", "broker-a")).await?.code, 0);
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    let unknown = route_code(&mut client, "never seen").await?;
    assert_eq!(unknown, ResponseCode::SYSTEM_ERROR.0);
    Ok(())
}

#[tokio::test]
async fn a_dead_or_silent_name_server_is_passed_by() -> Result<()> {
    let broker = FakeBroker::start("broker-a").await?;
    let alive = FakeNameServer::start(&[&broker]).await?;
    alive.add_topic("t", &["broker-a"]);
    // One port where no process listens, one where a listener accepts and sends nothing.
    let dead = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    for first in [dead, silent.local_addr()?] {
        let proxy = ProxyUnderTest::start(&[first, alive.address()], "")?;
        let mut client = proxy.client().await?;
        assert_eq!(route_code(&mut client, "t").await?, 0);
        // Only the first question had to find out.
        let begun = Instant::now();
        assert_eq!(
            route_code(&mut client, "unknown").await?,
            ResponseCode::TOPIC_NOT_EXIST.0
        );
        assert!(begun.elapsed() < Duration::from_millis(500));
        proxy.stop()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_topic_that_comes_to_exist_is_seen_soon_and_asked_for_rarely() -> Result<()> {
    let world = World::with("[routes]\nnegative_ms = 1000\n").await?;
    let mut client = world.proxy.client().await?;
    for _ in 0..50 {
        assert_eq!(
            route_code(&mut client, "new").await?,
            ResponseCode::TOPIC_NOT_EXIST.0
        );
    }
    assert_eq!(world.name_server.asked("new"), 1);
    world.name_server.add_topic("new", &["broker-a"]);
    let begun = Instant::now();
    while route_code(&mut client, "new").await? != 0 {
        assert!(begun.elapsed() < Duration::from_secs(3));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_not_in_the_list_is_looked_for() -> Result<()> {
    let world = World::with("send_elsewhere = false\n").await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(1, "both", "broker-a")).await?.code, 0);
    let late = FakeBroker::start("broker-late").await?;
    let answer = client.call(&send(2, "both", "broker-late")).await?;
    assert_eq!(answer.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    assert!(
        answer
            .remark
            .unwrap()
            .contains("no broker broker-late is registered at the name servers")
    );
    world
        .name_server
        .add_broker("broker-late", &[(0, late.address())]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(client.call(&send(3, "both", "broker-late")).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn a_route_follows_at_once_when_a_broker_has_gone() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(1, "both", "broker-a")).await?.code, 0);
    let brokers = async |client: &mut RawClient| -> Result<usize> {
        let ask = request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 2, &[("topic", "both")]);
        let route = TopicRouteData::decode(&client.call(&ask).await?.body)?;
        Ok(route.broker_datas.len())
    };
    assert_eq!(brokers(&mut client).await?, 2);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.name_server.remove_broker("broker-a");
    assert_eq!(brokers(&mut client).await?, 2, "no refresh has noticed yet");
    world.a.stop().await;
    // Well below the ten seconds after which a route is refreshed.
    let begun = Instant::now();
    while brokers(&mut client).await? != 1 {
        assert!(begun.elapsed() < Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn one_that_starts_anew_and_knows_nothing_yet_takes_nothing_away() -> Result<()> {
    let file = "send_elsewhere = false\n[routes]\nrefresh_ms = 50\nexpire_ms = 100\nbroker_refresh_ms = 100\n";
    let mut world = World::with(file).await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(1, "both", "broker-a")).await?.code, 0);
    assert_eq!(route_code(&mut client, "both").await?, 0);
    world.name_server.stop().await;
    world.name_server.forget_topics();
    for name in ["broker-a", "broker-b"] {
        world.name_server.remove_broker(name);
    }
    world.name_server.start_again().await?;
    let asked = world.name_server.asked("both");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(route_code(&mut client, "both").await?, 0);
        for name in ["broker-a", "broker-b"] {
            assert_eq!(client.call(&send(2, "both", name)).await?.code, 0);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(world.name_server.asked("both") > asked, "it was not asked");
    // Of one broker it has heard.
    let at = world.a.address();
    world.name_server.add_broker("broker-a", &[(0, at)]);
    world.name_server.add_topic("both", &["broker-a"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(client.call(&send(3, "both", "broker-b")).await?.code, 0);
    let unknown = route_code(&mut client, "never seen").await?;
    assert_eq!(unknown, ResponseCode::TOPIC_NOT_EXIST.0);
    Ok(())
}
