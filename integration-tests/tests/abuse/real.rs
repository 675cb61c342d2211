//! Some of the attacks again, with real brokers, which must be there and bear them.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    abuse::{Attack, BROKERS, KNOWN, Line, Outcome, Request, World},
    java::Java,
    rocketmq::Cluster,
    wait::now_ms,
};
use parking_lot::Mutex;
use remoting_codec::RequestCode;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    Abuse, Test,
    codes::{GROUP, poll, pull, register, send},
    headers::{UNREADABLE, two_heartbeats},
    test,
    unanswered::ends_of_no_type,
};

/// They share a cluster, which ends with the last of them.
type Shared = Arc<Mutex<Option<Cluster>>>;

pub(crate) fn all() -> Vec<(String, Test)> {
    let shared = Shared::default();
    let real = |name: &str, run: fn(&World, &str) -> Result<Outcome>| {
        let shared = Arc::clone(&shared);
        test(name, move |abuse, name| {
            let (name_server, broker) = cluster(abuse, &shared)?;
            let dir = abuse.scratch.path().join(name);
            let world = World::start_before(&abuse.binary, &dir, "", "", name_server, broker)?;
            run(&world, name)
        })
    };
    vec![
        real("real_header_that_brokers_cannot_read", unreadable),
        real("real_bytes_behind_binary_fields", trailing),
        real("real_pulls_that_wait_for_ten_minutes", waiting),
        real("real_transactions_that_end_with_no_type", no_type),
        real("real_polls_of_a_clock_that_is_ahead", ahead),
        real("real_consumer_of_8000_subscriptions", many_subscriptions),
    ]
}

/// Where its name server and its first broker are.
fn cluster(abuse: &Abuse, shared: &Shared) -> Result<(std::net::SocketAddr, std::net::SocketAddr)> {
    let mut shared = shared.lock();
    let cluster = match shared.take() {
        Some(cluster) => cluster,
        None => {
            let java = Java::build_with(&[])?;
            let cluster = Cluster::start(&java, &abuse.scratch.path().join("cluster"), &BROKERS)?;
            for topic in [KNOWN, "known-attackers"] {
                cluster.create_topic(topic, 4)?;
            }
            cluster
        }
    };
    let cluster = shared.insert(cluster);
    let broker = cluster.brokers().first().context("a broker")?.address();
    Ok((cluster.name_server().address(), broker))
}

fn unreadable(world: &World, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "1", "the same at a real broker").failures(0);
    world.judge(&attack, |ground| async move {
        for member in UNREADABLE.iter().cycle().take(60) {
            let mut line = ground.line().await?;
            let frame = send(KNOWN, 100).to_frame_with(1, &[*member]);
            line.write(&frame).await?;
            let _ = line.drain_for(Duration::from_millis(30)).await;
        }
        Ok(())
    })
}

fn trailing(world: &World, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "2", "the same at a real broker");
    let broker = world.broker();
    world.judge(&attack, move |ground| async move {
        let mut line = ground.line().await?;
        line.write(&two_heartbeats("shown1", "hidden")).await?;
        let _ = line.drain_for(Duration::from_secs(1)).await;
        let ask = Request::new(RequestCode::GET_CONSUMER_CONNECTION_LIST);
        let ask = ask.field("consumerGroup", GROUP);
        let members = Line::open(broker).await?.call(&ask).await?;
        let members = String::from_utf8_lossy(&members.body).into_owned();
        // The body is what brokers take for it (`RemotingCommand.decode` in the reference), for the
        // proxy as well.
        ensure!(!members.contains("shown1"), "{members}");
        Ok(())
    })
}

fn waiting(world: &World, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "3", "the same at a real broker");
    world.judge(&attack, |ground| async move {
        ground
            .many(8, |mut line, nth| async move {
                line.call(&register(&format!("patient-{nth}"))).await?;
                line.send_many(&pull("known-attackers", 600_000), 16_384)
                    .await?;
                line.drain().await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn no_type(world: &World, name: &str) -> Result<Outcome> {
    ends_of_no_type(world, name, "the same at a real broker")
}

fn ahead(world: &World, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "8", "the same at a real broker");
    world.judge(
        &attack.lasting(Duration::from_secs(9)),
        |ground| async move {
            ground
                .many(10, |mut line, nth| async move {
                    line.call(&register(&format!("hasty-{nth}"))).await?;
                    loop {
                        let poll = poll(RequestCode::POP_MESSAGE, 100, now_ms() + 8_000);
                        line.send_many(&poll, 3).await?;
                        line.drain_for(Duration::from_millis(500)).await?;
                    }
                })
                .await;
            Ok(())
        },
    )
}

/// No attack, but a client that a broker takes directly: its heartbeats have 1.3 MB, one every
/// second here.
fn many_subscriptions(world: &World, name: &str) -> Result<Outcome> {
    const SUBSCRIPTIONS: usize = 8000;
    const BEATS: usize = 4;
    const CONSUMERS: &str = "many-subscriptions";
    let what = "a consumer with 8,000 subscriptions at a real broker";
    let attack = Attack::new(name, "12", what).lasting(Duration::from_secs(8));
    let attack = attack.failures(0);
    let broker = world.broker();
    let mut outcome = world.judge(&attack, move |ground| async move {
        let mut line = ground.line().await?;
        for beat in 0..BEATS {
            let heartbeat = subscribed(CONSUMERS, SUBSCRIPTIONS, beat);
            let answer = line.call(&heartbeat).await?;
            ensure!(
                answer.code == 0,
                "the heartbeat was answered {}",
                answer.code
            );
            sleep(Duration::from_secs(1)).await;
        }
        let ask = Request::new(RequestCode::GET_CONSUMER_CONNECTION_LIST);
        let ask = ask.field("consumerGroup", CONSUMERS);
        let members = Line::open(broker).await?.call(&ask).await?;
        let members: Value = serde_json::from_slice(&members.body)?;
        let connections = members.pointer("/connectionSet").and_then(Value::as_array);
        let connections = connections.map(Vec::len);
        ensure!(connections == Some(1), "{connections:?} connections");
        // Brokers add the topic of a group's retries.
        let known = members
            .pointer("/subscriptionTable")
            .and_then(Value::as_object);
        let known = known.map(|table| table.len());
        ensure!(
            known.is_some_and(|known| known >= SUBSCRIPTIONS),
            "{known:?} subscriptions are known"
        );
        Ok(())
    })?;
    let length = subscribed(CONSUMERS, SUBSCRIPTIONS, 0).to_frame(1).len();
    outcome.notes.push(format!("heartbeats of {length} bytes"));
    Ok(outcome)
}

/// The heartbeat of a Java consumer that subscribes to that many topics.
fn subscribed(group: &str, topics: usize, version: usize) -> Request {
    let subscriptions: Vec<Value> = (0..topics)
        .map(|nth| {
            json!({
                "classFilterMode": false, "codeSet": [], "expressionType": "TAG", "subString": "*",
                "subVersion": 1_700_000_000_000_u64 + version as u64, "tagsSet": [],
                "topic": format!("a-topic-that-has-a-name-{nth}"),
            })
        })
        .collect();
    let body = json!({
        "clientID": "127.0.0.1@many-subscriptions",
        "consumerDataSet": [{
            "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "consumeType": "CONSUME_PASSIVELY",
            "groupName": group, "messageModel": "CLUSTERING", "subscriptionDataSet": subscriptions,
            "unitMode": false,
        }],
        "heartbeatFingerprint": 0, "producerDataSet": [], "withoutSub": false,
    });
    Request::new(RequestCode::HEART_BEAT).body(body.to_string())
}
