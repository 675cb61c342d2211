//! Requests that need more than to be relayed to the broker that they name.

use std::time::Duration;

use anyhow::Result;
use integration_tests::fake::{FakeBroker, FakeNameServer, ProxyUnderTest, Reply, request};
use remoting_codec::body::LockBatchResponse;
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};

use crate::World;
use crate::relay::send;

fn success() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
}

pub(crate) fn heartbeat(opaque: i32) -> RemotingCommand {
    let body = r#"{"clientID":"c1","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[{"groupName":"g","messageModel":"CLUSTERING","subscriptionDataSet":[{"topic":"both"}]}]}"#;
    request(RequestCode::HEART_BEAT, opaque, &[]).with_body(body)
}

fn bodies(broker: &FakeBroker) -> Vec<String> {
    let beats = broker.received(RequestCode::HEART_BEAT).into_iter();
    beats
        .map(|one| String::from_utf8_lossy(&one.command.body).into_owned())
        .filter(|body| !body.contains("remora-keep-alive"))
        .collect()
}

#[tokio::test]
async fn a_half_message_waits_until_its_producer_is_known() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let mut half = send(1, "both", "broker-a");
    half.ext_fields.retain(|(name, _)| name != "f");
    let half = half.with_field("f", "4");
    // It arrives before the client's heartbeat: its group is registered under a stand-in.
    assert_eq!(client.call(&half).await?.code, 0);
    let beats = bodies(&world.a);
    assert_eq!(beats.len(), 1);
    assert!(beats[0].contains(r#""groupName":"group""#), "{beats:?}");
    // So is a second group's.
    let other = half
        .ext_fields
        .iter()
        .filter(|(name, _)| name != "a")
        .cloned();
    let other = RemotingCommand {
        opaque: 2.into(),
        ext_fields: other.collect(),
        ..half.clone()
    };
    let other = other.with_field("a", "other");
    assert_eq!(client.call(&other).await?.code, 0);
    let beats = bodies(&world.a);
    assert_eq!(beats.len(), 2);
    // The first group is not registered again with it.
    assert!(!beats[1].contains(r#""groupName":"group""#), "{beats:?}");
    assert!(beats[1].contains(r#""groupName":"other""#), "{beats:?}");
    let stand_in = world.a.received(RequestCode::HEART_BEAT)[0].connection;
    // Then the client sends its heartbeat, and no connection is left on which a broker remembers
    // the stand-in.
    client.call(&heartbeat(2)).await?;
    world.a.wait_closed(stand_in).await?;
    let beats = world.a.wait_received(RequestCode::HEART_BEAT, 3).await?;
    assert_eq!(beats[2].command.body, heartbeat(0).body);
    // A check arrives over the lane, gets the broker's name if it lacks it, and is not answered.
    let check = request(RequestCode::CHECK_TRANSACTION_STATE, 5, &[("msgId", "m")]).oneway();
    world.a.say(beats[2].connection, check)?;
    let heard = client.receive().await?;
    assert_eq!(heard.field("bname"), Some("broker-a"));
    assert_eq!(heard.field("msgId"), Some("m"));
    let verdict = [
        ("bname", "broker-a"),
        ("producerGroup", "group"),
        ("tranStateTableOffset", "1"),
        ("commitLogOffset", "2"),
        ("commitOrRollback", "8"),
    ];
    client
        .send(&request(RequestCode::END_TRANSACTION, 6, &verdict).oneway())
        .await?;
    world
        .a
        .wait_received(RequestCode::END_TRANSACTION, 1)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_requester_is_known_to_every_master_and_stays_so() -> Result<()> {
    let world = World::with("").await?;
    let mut client = world.proxy.client().await?;
    let beat = request(RequestCode::HEART_BEAT, 1, &[])
        .with_body(r#"{"clientID":"c1","producerDataSet":[{"groupName":"p"}]}"#);
    client.call(&beat).await?;
    let ask = send(2, "both", "broker-a")
        .with_field("i", "CORRELATION_ID\u{1}x\u{2}REPLY_TO_CLIENT\u{1}c1\u{2}");
    assert_eq!(client.call(&ask).await?.code, 0);
    assert_eq!(bodies(&world.a).len(), 1);
    assert_eq!(bodies(&world.b).len(), 1);
    // Each later heartbeat also registers a group that is new.
    let again = beat.with_body(r#"{"clientID":"c1","producerDataSet":[{"groupName":"p"}],"v":2}"#);
    client.call(&again).await?;
    client
        .call(
            &again
                .clone()
                .with_body(r#"{"clientID":"c1","producerDataSet":[],"v":3}"#),
        )
        .await?;
    for broker in [&world.a, &world.b] {
        // That is done once the heartbeat is answered.
        broker.wait_received(RequestCode::HEART_BEAT, 5).await?;
        let beats = bodies(broker);
        let groups: Vec<_> = beats
            .iter()
            .filter(|body| body.contains("REMORA_REPLY_"))
            .collect();
        assert_eq!(groups.len(), 2, "{beats:?}");
        assert_ne!(groups[0], groups[1]);
        assert!(
            groups
                .iter()
                .all(|body| body.contains(r#""clientID":"c1""#))
        );
    }
    // A reply that is pushed is answered, and the answer is returned.
    let lane = world.b.received(RequestCode::HEART_BEAT)[0].connection;
    world.b.say(
        lane,
        request(RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT, 9, &[("x", "y")]),
    )?;
    let pushed = client.receive().await?;
    client
        .send(&RemotingCommand {
            opaque: pushed.opaque,
            ..success()
        })
        .await?;
    assert_eq!(
        world.b.wait_received(RequestCode(0), 1).await?[0]
            .command
            .opaque
            .0,
        9
    );
    Ok(())
}

#[tokio::test]
async fn a_pop_that_nobody_awaits_any_more_is_given_back() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    client.call(&heartbeat(1)).await?;
    world.a.on(
        RequestCode::POP_MESSAGE,
        Reply::Late(Duration::from_millis(300), popped()),
    );
    client.send(&pop("15000")).await?;
    world.a.wait_received(RequestCode::POP_MESSAGE, 1).await?;
    drop(client);
    expect_given_back(&world).await
}

#[tokio::test]
async fn a_pop_that_is_answered_too_late_is_given_back() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    client.call(&heartbeat(1)).await?;
    world.a.on(
        RequestCode::POP_MESSAGE,
        Reply::Late(Duration::from_secs(6), popped()),
    );
    // Five seconds more than it may wait.
    let answer = client.call(&pop("0")).await?;
    assert_eq!(answer.code, ResponseCode::SYSTEM_BUSY.0);
    expect_given_back(&world).await
}

/// An answer with messages from two topics.
pub(crate) fn popped() -> RemotingCommand {
    success()
        .with_field("popTime", "1000")
        .with_field("invisibleTime", "60000")
        .with_field("reviveQid", "3")
        .with_field("startOffsetInfo", "0 2 7;1 0 0")
        .with_field("msgOffsetInfo", "0 2 7,8;1 0 5")
}

pub(crate) fn pop(wait: &'static str) -> RemotingCommand {
    let fields = [
        ("topic", "both"),
        ("consumerGroup", "g"),
        ("queueId", "-1"),
        ("maxMsgNums", "32"),
        ("invisibleTime", "60000"),
        ("pollTime", wait),
        ("bornTime", "0"),
        ("initMode", "0"),
        ("bname", "broker-a"),
    ];
    request(RequestCode::POP_MESSAGE, 2, &fields)
}

async fn expect_given_back(world: &World) -> Result<()> {
    let code = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;
    let given_back = world.a.wait_received(code, 3).await?;
    let receipts: Vec<_> = given_back
        .iter()
        .map(|one| {
            let field = |name| one.command.field(name).unwrap_or_default();
            (field("topic"), field("extraInfo"), field("offset"))
        })
        .collect();
    assert_eq!(
        receipts,
        [
            ("both", "7 1000 60000 3 0 broker-a 2 7", "7"),
            ("both", "7 1000 60000 3 0 broker-a 2 8", "8"),
            ("%RETRY%g_both", "0 1000 60000 3 1 broker-a 0 5", "5"),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_receipt_names_the_broker_where_the_header_does_not() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let fields = [
        ("topic", "both"),
        ("consumerGroup", "g"),
        ("queueId", "2"),
        ("extraInfo", "7 1000 60000 3 0 broker-b 2 7"),
        ("offset", "7"),
    ];
    for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
        // In a binary header, 200051 is cut down to 3443.
        let ack = RemotingCommand {
            serialize_type,
            ..request(RequestCode::ACK_MESSAGE, 1, &fields)
        };
        assert_eq!(client.call(&ack).await?.code, 0);
    }
    assert_eq!(world.b.received(RequestCode::ACK_MESSAGE).len(), 2);
    let body = r#"{"brokerName":"broker-a","acks":[]}"#;
    let batch = request(RequestCode::BATCH_ACK_MESSAGE, 2, &[]).with_body(body);
    assert_eq!(client.call(&batch).await?.code, 0);
    assert_eq!(world.a.received(RequestCode::BATCH_ACK_MESSAGE).len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_topic_is_created_on_every_broker_of_the_route() -> Result<()> {
    let world = World::start().await?;
    world
        .name_server
        .add_topic("TBW102", &["broker-a", "broker-b"]);
    let mut client = world.proxy.client().await?;
    let fields = [
        ("topic", "new"),
        ("defaultTopic", "TBW102"),
        ("order", "false"),
    ];
    let create = request(RequestCode::UPDATE_AND_CREATE_TOPIC, 1, &fields);
    assert_eq!(client.call(&create).await?.code, 0);
    for broker in [&world.a, &world.b] {
        assert_eq!(
            broker.received(RequestCode::UPDATE_AND_CREATE_TOPIC).len(),
            1
        );
    }
    let refusal = RemotingCommand::response(ResponseCode::NO_PERMISSION, 0, SerializeType::Json);
    world.b.on(
        RequestCode::UPDATE_AND_CREATE_TOPIC,
        Reply::Command(refusal.with_remark("not you")),
    );
    let answer = client.call(&create).await?;
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (16, Some("not you"))
    );
    Ok(())
}

#[tokio::test]
async fn connections_of_all_brokers_are_joined() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    for (broker, ids) in [(&world.a, ["c1", "c2"]), (&world.b, ["c2", "c3"])] {
        let set = ids.map(|id| format!(r#"{{"clientId":"{id}"}}"#)).join(",");
        let body = format!(r#"{{"connectionSet":[{set}],"messageModel":"CLUSTERING"}}"#);
        broker.on(
            RequestCode::GET_CONSUMER_CONNECTION_LIST,
            Reply::Command(success().with_body(body)),
        );
    }
    let fields = [("consumerGroup", "g")];
    let ask = request(RequestCode::GET_CONSUMER_CONNECTION_LIST, 1, &fields);
    let answer = client.call(&ask).await?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    for id in ["c1", "c2", "c3"] {
        assert_eq!(body.matches(id).count(), 1, "{body}");
    }
    assert!(body.contains("CLUSTERING"));
    Ok(())
}

#[tokio::test]
async fn a_static_topic_s_queue_is_found() -> Result<()> {
    let world = World::start().await?;
    world
        .name_server
        .add_topic("static", &["broker-a", "broker-b"]);
    world.name_server.map_queue("static", 0, "broker-a");
    world.name_server.map_queue("static", 1, "broker-b");
    let mut client = world.proxy.client().await?;
    // Clients name no broker, but a mark that stands for whichever has the queue.
    let mark = "__syslo__global__";
    for (queue, broker) in [("0", &world.a), ("1", &world.b)] {
        let fields = [("topic", "static"), ("queueId", queue), ("bname", mark)];
        let ask = request(RequestCode::GET_MAX_OFFSET, 1, &fields);
        assert_eq!(client.call(&ask).await?.code, 0);
        let asked = broker.received(RequestCode::GET_MAX_OFFSET);
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].command.field("queueId"), Some(queue));
    }
    let queue = |id| format!(r#"{{"brokerName":"{mark}","queueId":{id},"topic":"static"}}"#);
    let both = format!("[{},{}]", queue(0), queue(1));
    for (id, broker) in [(0, &world.a), (1, &world.b)] {
        let locked = success().with_body(format!(r#"{{"lockOKMQSet":[{}]}}"#, queue(id)));
        broker.on(RequestCode::LOCK_BATCH_MQ, Reply::Command(locked));
    }
    let body = format!(r#"{{"clientId":"c1","mqSet":{both}}}"#);
    let answer = client
        .call(&request(RequestCode::LOCK_BATCH_MQ, 2, &[]).with_body(body))
        .await?;
    let mut locked = LockBatchResponse::decode(&answer.body)?.locked;
    locked.sort_by_key(|queue| queue.queue_id);
    let ids: Vec<_> = locked.iter().map(|queue| queue.queue_id).collect();
    assert_eq!(ids, [0, 1]);
    Ok(())
}

#[tokio::test]
async fn what_changes_name_servers_reaches_each() -> Result<()> {
    let broker = FakeBroker::start("broker-a").await?;
    let servers = [
        FakeNameServer::start(&[&broker]).await?,
        FakeNameServer::start(&[&broker]).await?,
    ];
    let addresses = servers.each_ref().map(FakeNameServer::address);
    let proxy = ProxyUnderTest::start(&addresses, "admin_relay = true\n")?;
    let mut client = proxy.client().await?;
    let put = [("namespace", "n"), ("key", "k"), ("value", "v")];
    let answer = client
        .call(&request(RequestCode::PUT_KV_CONFIG, 1, &put))
        .await?;
    assert_eq!(answer.code, ResponseCode::REQUEST_CODE_NOT_SUPPORTED.0);
    client
        .call(&request(RequestCode::GET_KV_CONFIG, 2, &put))
        .await?;
    let (put, get) = (RequestCode::PUT_KV_CONFIG.0, RequestCode::GET_KV_CONFIG.0);
    let mut refused = servers.map(|server| server.refused());
    refused.sort();
    assert_eq!(refused, [vec![put], vec![put, get]]);
    proxy.stop()
}

#[tokio::test]
async fn administration_is_refused_unless_wanted() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let ask = request(RequestCode::GET_BROKER_CLUSTER_INFO, 1, &[]);
    let refused = client.call(&ask).await?;
    assert_eq!(refused.code, ResponseCode::REQUEST_CODE_NOT_SUPPORTED.0);

    let world = World::with("admin_relay = true\n").await?;
    let mut client = world.proxy.client().await?;
    let answer = client.call(&ask).await?;
    let info = remoting_codec::body::ClusterInfo::decode(&answer.body)?;
    assert_eq!(info.broker_addr_table.len(), 2);
    for data in info.broker_addr_table.values() {
        assert_eq!(data.broker_addrs[&0], world.proxy.address().to_string());
    }
    // A replica has no address of its own: a tool would take it for the master once more.
    let (a, b) = (world.a.address(), world.b.address());
    world.name_server.add_broker("broker-a", &[(0, a), (1, b)]);
    world.name_server.add_broker("broker-b", &[(1, a), (2, b)]);
    let answer = client.call(&ask).await?;
    let info = remoting_codec::body::ClusterInfo::decode(&answer.body)?;
    let ids = |name: &str| {
        let data = &info.broker_addr_table[name];
        data.broker_addrs.keys().copied().collect::<Vec<_>>()
    };
    assert_eq!((ids("broker-a"), ids("broker-b")), (vec![0], vec![1]));
    Ok(())
}

#[tokio::test]
async fn a_pull_follows_the_broker_s_suggestion() -> Result<()> {
    let world = World::start().await?;
    let (master, replica) = (world.a.address(), world.b.address());
    world
        .name_server
        .add_broker("broker-r", &[(0, master), (1, replica)]);
    world.name_server.add_topic("both", &["broker-r"]);
    let mut client = world.proxy.client().await?;
    client.call(&heartbeat(1)).await?;
    let not_found = |suggestion: &'static str| {
        let answer =
            RemotingCommand::response(ResponseCode::PULL_NOT_FOUND, 0, SerializeType::Json);
        Reply::Command(answer.with_field("suggestWhichBrokerId", suggestion))
    };
    let fields = [
        ("topic", "both"),
        ("consumerGroup", "g"),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "32"),
        ("sysFlag", "0"),
        ("bname", "broker-r"),
    ];
    let pull = |opaque| request(RequestCode::PULL_MESSAGE, opaque, &fields);
    world.a.on(RequestCode::PULL_MESSAGE, not_found("1"));
    world.b.on(RequestCode::PULL_MESSAGE, not_found("1"));
    for opaque in 2..5 {
        client.call(&pull(opaque)).await?;
    }
    let pulled = |broker: &FakeBroker| broker.received(RequestCode::PULL_MESSAGE).len();
    assert_eq!((pulled(&world.a), pulled(&world.b)), (1, 2));
    world.b.on(RequestCode::PULL_MESSAGE, not_found("0"));
    client.call(&pull(5)).await?;
    client.call(&pull(6)).await?;
    assert_eq!((pulled(&world.a), pulled(&world.b)), (2, 3));
    // A slave that is unreachable is not required.
    world.b.stop().await;
    client.call(&pull(7)).await?;
    client.call(&pull(8)).await?;
    assert_eq!(pulled(&world.a), 4);
    Ok(())
}
