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
        // The body is what brokers take for it (`RemotingCommand.decode` in the reference), for the proxy as well.
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
