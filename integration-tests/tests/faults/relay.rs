//! The requests that are relayed, and the clients that get the answers.

use std::time::Duration;

use anyhow::{Context, Result};
use integration_tests::fake::{Reply, request};
use remoting_codec::{
    FLAG_ONEWAY, RemotingCommand, RequestCode, ResponseCode, SerializeType, Version,
};

use crate::World;

const SERIALIZATIONS: [SerializeType; 2] = [SerializeType::Json, SerializeType::RocketMq];

/// A send in the short names that Java uses.
pub(crate) fn send(opaque: i32, topic: &str, broker: &str) -> RemotingCommand {
    let fields = [
        ("a", "group"),
        ("b", topic),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", "0"),
        ("f", "0"),
        ("g", "1700000000000"),
        ("h", "0"),
        ("i", "KEYS\u{1}k\u{2}TAGS\u{1}\"t\\\u{2}"),
        ("n", broker),
    ];
    request(RequestCode::SEND_MESSAGE_V2, opaque, &fields).with_body("hello".as_bytes())
}

#[tokio::test]
async fn a_request_reaches_the_broker_that_it_names_as_it_came() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    for (nth, serialize_type) in SERIALIZATIONS.into_iter().enumerate() {
        let sent = RemotingCommand {
            serialize_type,
            version: Version(477),
            remark: Some("as it came".into()),
            ..send(-7, "both", "broker-b")
        };
        let answer = client.call(&sent).await?;
        assert_eq!((answer.code, &answer.body), (0, &sent.body));
        let arrived = world
            .b
            .wait_received(RequestCode::SEND_MESSAGE_V2, nth + 1)
            .await?;
        let arrived = &arrived[nth].command;
        assert_ne!(arrived.opaque, sent.opaque);
        assert_eq!(
            RemotingCommand {
                opaque: (-7).into(),
                ..arrived.clone()
            },
            sent
        );
    }
    assert!(world.a.received(RequestCode::SEND_MESSAGE_V2).is_empty());
    Ok(())
}

#[tokio::test]
async fn equal_opaques_of_two_clients_do_not_mix() -> Result<()> {
    let world = World::start().await?;
    let mut one = world.proxy.client().await?;
    let mut other = world.proxy.client().await?;
    for round in 0..50 {
        one.send(&send(round, "both", "broker-a").with_field("who", "one"))
            .await?;
        other
            .send(&send(round, "both", "broker-a").with_field("who", "other"))
            .await?;
        assert_eq!(one.receive().await?.field("who"), Some("one"));
        assert_eq!(other.receive().await?.field("who"), Some("other"));
    }
    // One worker, one connection for all.
    Ok(())
}

#[tokio::test]
async fn a_oneway_request_is_relayed_and_never_answered() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let commit = [
        ("consumerGroup", "group"),
        ("topic", "both"),
        ("queueId", "1"),
        ("commitOffset", "5"),
        ("bname", "broker-a"),
    ];
    let commit = request(RequestCode::UPDATE_CONSUMER_OFFSET, 1, &commit).oneway();
    client.send(&commit).await?;
    world
        .a
        .wait_received(RequestCode::UPDATE_CONSUMER_OFFSET, 1)
        .await?;
    // A malformed one-way request is not answered either.
    client
        .send(&request(RequestCode::UPDATE_CONSUMER_OFFSET, 2, &[]).oneway())
        .await?;
    client
        .send(&request(RequestCode(4711), 3, &[]).oneway())
        .await?;
    client
        .send(&send(4, "both", "no-such-broker").oneway())
        .await?;
    assert!(client.hears_nothing_for(Duration::from_millis(700)).await?);
    Ok(())
}

#[tokio::test]
async fn without_a_broker_name_the_only_broker_is_meant() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let answer = client.call(&send(1, "one", "")).await?;
    assert_eq!(answer.code, ResponseCode::SUCCESS.0);
    assert_eq!(world.a.received(RequestCode::SEND_MESSAGE_V2).len(), 1);

    let answer = client.call(&send(2, "both", "")).await?;
    assert_eq!(answer.code, ResponseCode::VERSION_NOT_SUPPORTED.0);
    let remark = answer.remark.unwrap();
    assert!(
        remark.contains("ext field n ") && remark.contains("broker_listener"),
        "{remark}"
    );

    // A 5.x client's broker detector never names a broker here, and any will do.
    let fields = [("topic", "both"), ("queueId", "0")];
    let detect = RemotingCommand {
        version: Version::V5_5_0,
        ..request(RequestCode::GET_MAX_OFFSET, 3, &fields)
    };
    assert_eq!(client.call(&detect).await?.code, ResponseCode::SUCCESS.0);
    Ok(())
}

#[tokio::test]
async fn large_bodies_arrive_whole_both_ways() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    for (nth, size) in [31_000, 40_000, 300_000, 4_000_000].into_iter().enumerate() {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let sent = send(nth as i32, "both", "broker-a").with_body(body.clone());
        let answer = client.call(&sent).await?;
        assert!(answer.body == body, "a body of {size} bytes");
    }
    Ok(())
}

#[tokio::test]
async fn a_route_names_the_proxy_and_is_asked_for_once() -> Result<()> {
    let world = World::start().await?;
    let ask = request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 1, &[("topic", "both")]);
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = world.proxy.client().await?;
        client.send(&ask).await?;
        clients.push(client);
    }
    for client in &mut clients {
        let answer = client.receive().await?;
        let route = remoting_codec::body::TopicRouteData::decode(&answer.body)?;
        assert_eq!(route.broker_datas.len(), 2);
        for broker in route.broker_datas {
            assert_eq!(broker.broker_addrs[&0], world.proxy.address().to_string());
        }
    }
    assert_eq!(world.name_server.asked("both"), 1);
    Ok(())
}

#[tokio::test]
async fn locks_of_several_brokers_are_asked_of_each_and_merged() -> Result<()> {
    use remoting_codec::body::LockBatchResponse;
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let queues = r#"[{"brokerName":"broker-a","queueId":0,"topic":"both"},{"brokerName":"broker-b","queueId":0,"topic":"both"}]"#;
    // Each broker locks the queues that it is asked for, whether it has them or not.
    let locked = |queues: &str| {
        RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
            .with_body(format!(r#"{{"lockOKMQSet":{queues}}}"#))
    };
    let refused = RemotingCommand::response(ResponseCode::NO_PERMISSION, 0, SerializeType::Json)
        .with_remark("not you");
    for broker in [&world.a, &world.b] {
        broker.on(RequestCode::LOCK_BATCH_MQ, Reply::Command(locked(queues)));
    }
    let body = format!(
        r#"{{"clientId":"c","consumerGroup":"g","mqSet":{queues},"onlyThisBroker":false}}"#
    );
    let fields = [("AccessKey", "k"), ("Signature", "s")];
    let lock =
        |opaque| request(RequestCode::LOCK_BATCH_MQ, opaque, &fields).with_body(body.clone());
    let answer = client.call(&lock(9)).await?;
    assert_eq!(LockBatchResponse::decode(&answer.body)?.locked.len(), 2);
    for broker in [&world.a, &world.b] {
        // With everything that the client has signed.
        let asked = broker.received(RequestCode::LOCK_BATCH_MQ);
        assert_eq!(asked[0].command.body, body);
        assert_eq!(asked[0].command.field("Signature"), Some("s"));
    }
    // A broker's answer about the other's queues means nothing.
    world
        .b
        .on(RequestCode::LOCK_BATCH_MQ, Reply::Command(refused.clone()));
    let answer = client.call(&lock(10)).await?;
    let of_a: Vec<_> = LockBatchResponse::decode(&answer.body)?.locked;
    assert_eq!(of_a.len(), 1);
    assert_eq!(of_a[0].broker_name, "broker-a");
    // One that is refused everywhere hears why.
    world
        .a
        .on(RequestCode::LOCK_BATCH_MQ, Reply::Command(refused));
    let answer = client.call(&lock(11)).await?;
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (ResponseCode::NO_PERMISSION.0, Some("not you"))
    );
    let nothing = r#"{"clientId":"c","consumerGroup":"g","mqSet":[]}"#;
    let nothing = request(RequestCode::LOCK_BATCH_MQ, 12, &[]).with_body(nothing);
    assert_eq!(client.call(&nothing).await?.body, r#"{"lockOKMQSet":[]}"#);
    Ok(())
}

#[tokio::test]
async fn no_code_in_no_form_hangs_or_gets_another_opaque() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let codes = (0..=61)
        .chain(100..=110)
        .chain(200..=403)
        .chain(200_050..=200_056);
    let mut opaque = 100;
    for code in codes.chain([513, 901, 1001, 2001, 3001, 200_151, 4711, -1, i32::MAX]) {
        for serialize_type in SERIALIZATIONS {
            for (oneway, body, fields) in
                (0..8).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0))
            {
                opaque += 1;
                let fields: &[_] = if fields {
                    &[("topic", "both"), ("x", "y")]
                } else {
                    &[]
                };
                let mut command = request(RequestCode(code), opaque, fields);
                command.serialize_type = serialize_type;
                if body {
                    command.body = "{\"odd\":".into();
                }
                if oneway {
                    command.flag |= FLAG_ONEWAY;
                    client.send(&command).await?;
                } else {
                    let answer = client.call(&command).await;
                    let answer = answer.with_context(|| format!("{command:?}"))?;
                    // A code that a binary header cannot hold went on in JSON.
                    let as_asked = answer.serialize_type == serialize_type;
                    assert!(as_asked || code > i32::from(i16::MAX), "code {code}");
                }
            }
        }
    }
    Ok(())
}
