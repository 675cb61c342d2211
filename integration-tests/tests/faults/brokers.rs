//! Brokers that go, hang, or lag behind.

use std::time::Duration;

use anyhow::Result;
use integration_tests::fake::{Reply, request};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use tokio::time::Instant;

use crate::World;
use crate::relay::send;

/// A request for a broker is sent to that broker or to none.
const NOT_ELSEWHERE: &str = "send_elsewhere = false\n";

#[tokio::test]
async fn what_is_outstanding_is_answered_when_the_broker_goes() -> Result<()> {
    let world = World::with(NOT_ELSEWHERE).await?;
    world.a.on(RequestCode::SEND_MESSAGE_V2, Reply::Silence);
    let mut client = world.proxy.client().await?;
    client.send(&send(1, "both", "broker-a")).await?;
    world
        .a
        .wait_received(RequestCode::SEND_MESSAGE_V2, 1)
        .await?;
    let begun = Instant::now();
    world.a.stop().await;
    let answer = client.receive().await?;
    assert_eq!(
        (answer.opaque.0, answer.code),
        (1, ResponseCode::SERVICE_NOT_AVAILABLE.0)
    );
    assert!(begun.elapsed() < Duration::from_millis(500));
    // Once it is unreachable, immediately; the other broker is not affected.
    let begun = Instant::now();
    for opaque in 2..20 {
        let answer = client.call(&send(opaque, "both", "broker-a")).await?;
        assert_eq!(answer.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
        assert_eq!(
            client.call(&send(opaque, "both", "broker-b")).await?.code,
            0
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    Ok(())
}

#[tokio::test]
async fn a_broker_that_comes_back_is_used_again() -> Result<()> {
    let mut world = World::with(NOT_ELSEWHERE).await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(1, "both", "broker-a")).await?.code, 0);
    world.a.stop().await;
    let refused = client.call(&send(2, "both", "broker-a")).await?;
    assert_eq!(refused.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    world.a.start_again().await?;
    let begun = Instant::now();
    while client.call(&send(3, "both", "broker-a")).await?.code != 0 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_silent_broker_is_answered_for_and_its_late_answer_goes_to_nobody() -> Result<()> {
    let world = World::with("workers = 1\n[timeouts]\nsend_ms = 300\n").await?;
    let late = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json);
    let late = Reply::Late(Duration::from_millis(600), late.with_remark("late"));
    world.a.on(RequestCode::SEND_MESSAGE_V2, late);
    let mut client = world.proxy.client().await?;
    let answer = client.call(&send(1, "both", "broker-a")).await?;
    assert_eq!(answer.code, ResponseCode::SYSTEM_BUSY.0);
    assert!(
        answer
            .remark
            .unwrap()
            .contains("broker-a did not answer in time")
    );
    // Others use the connection while the late answer is on its way.
    world.a.on(RequestCode::SEND_MESSAGE_V2, Reply::Mirror);
    let begun = Instant::now();
    let mut opaque = 2;
    while begun.elapsed() < Duration::from_millis(600) {
        let answer = client.call(&send(opaque, "both", "broker-a")).await?;
        assert_eq!((answer.code, answer.remark), (0, None));
        opaque += 1;
    }
    assert!(client.hears_nothing_for(Duration::from_millis(200)).await?);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_goes_away_politely_is_not_passed_on() -> Result<()> {
    let world = World::start().await?;
    let go_away = RemotingCommand::response(ResponseCode::GO_AWAY, 0, SerializeType::Json);
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(0, "both", "broker-a")).await?.code, 0);
    world
        .a
        .on(RequestCode::SEND_MESSAGE_V2, Reply::Command(go_away));
    let answer = client.call(&send(1, "both", "broker-a")).await?;
    assert_eq!(answer.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    // It was this connection that was to go; the next is a new one.
    world.a.on(RequestCode::SEND_MESSAGE_V2, Reply::Mirror);
    assert_eq!(client.call(&send(2, "both", "broker-a")).await?.code, 0);
    let received = world.a.received(RequestCode::SEND_MESSAGE_V2);
    let connections: Vec<_> = received.iter().map(|one| one.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_only_says_to_go_away_is_left_alone() -> Result<()> {
    let world = World::with(NOT_ELSEWHERE).await?;
    let go_away = RemotingCommand::response(ResponseCode::GO_AWAY, 0, SerializeType::Json);
    world
        .a
        .on(RequestCode::SEND_MESSAGE_V2, Reply::Command(go_away));
    let mut client = world.proxy.client().await?;
    for opaque in 0..100 {
        let answer = client.call(&send(opaque, "both", "broker-a")).await?;
        assert_eq!(answer.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    }
    let received = world.a.received(RequestCode::SEND_MESSAGE_V2);
    assert!(received.len() < 10, "{}", received.len());
    // It is asked again after a while.
    world.a.on(RequestCode::SEND_MESSAGE_V2, Reply::Mirror);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(client.call(&send(100, "both", "broker-a")).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn a_broker_without_master_is_read_and_not_written() -> Result<()> {
    let world = World::start().await?;
    world
        .name_server
        .add_broker("broker-r", &[(1, world.b.address())]);
    world.name_server.add_topic("replicated", &["broker-r"]);
    let mut client = world.proxy.client().await?;
    let answer = client.call(&send(1, "replicated", "broker-r")).await?;
    assert_eq!(answer.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    assert!(answer.remark.unwrap().contains("has no master"));
    let fields = [
        ("topic", "replicated"),
        ("queueId", "0"),
        ("bname", "broker-r"),
    ];
    let answer = client
        .call(&request(RequestCode::GET_MAX_OFFSET, 2, &fields))
        .await?;
    assert_eq!(answer.code, 0);
    assert_eq!(world.b.received(RequestCode::GET_MAX_OFFSET).len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_moved_is_found() -> Result<()> {
    let world = World::with("[routes]\nbroker_refresh_ms = 600\n").await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(1, "both", "broker-a")).await?.code, 0);
    world
        .name_server
        .add_broker("broker-a", &[(0, world.b.address())]);
    let begun = Instant::now();
    while world.b.received(RequestCode::SEND_MESSAGE_V2).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(client.call(&send(2, "both", "broker-a")).await?.code, 0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_does_not_read_is_made_to_pull_again() -> Result<()> {
    let world = World::with("[limits]\nclient_buffer_bytes = 65536\n").await?;
    // A stored message: queue offset 41 at its place, and a body that fills the socket's buffers.
    let mut stored = vec![0; 512 * 1024];
    stored[20..28].copy_from_slice(&41_i64.to_be_bytes());
    let found = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
        .with_field("nextBeginOffset", "42")
        .with_field("minOffset", "0")
        .with_field("maxOffset", "100")
        .with_field("suggestWhichBrokerId", "0")
        .with_body(stored);
    world.a.on(RequestCode::PULL_MESSAGE, Reply::Command(found));
    let fields = [
        ("topic", "both"),
        ("consumerGroup", "g"),
        ("queueId", "0"),
        ("queueOffset", "41"),
        ("maxMsgNums", "32"),
        ("sysFlag", "2"),
        ("suspendTimeoutMillis", "15000"),
        ("bname", "broker-a"),
    ];
    let mut client = world.proxy.client().await?;
    let count = 60;
    for opaque in 0..count {
        client
            .send(&request(RequestCode::PULL_MESSAGE, opaque, &fields))
            .await?;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (mut found, mut again) = (0, 0);
    for _ in 0..count {
        let answer = client.receive().await?;
        match ResponseCode(answer.code) {
            ResponseCode::SUCCESS => found += 1,
            ResponseCode::PULL_RETRY_IMMEDIATELY => {
                assert_eq!(answer.field("nextBeginOffset"), Some("41"));
                assert_eq!(answer.field("maxOffset"), Some("100"));
                assert!(answer.body.is_empty());
                again += 1;
            }
            other => panic!("{other}: {:?}", answer.remark),
        }
    }
    assert!(
        found > 0 && again > 0,
        "{found} found, {again} to be asked again"
    );
    Ok(())
}
