//! Rows 4 and 5: the memory that clients make the proxy hold.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use anyhow::Result;
use integration_tests::abuse::{Attack, Outcome, Request, World};
use remoting_codec::RequestCode;
use tokio::time::sleep;

use crate::{
    Abuse, Test,
    codes::{GROUP, pull, register, route, send},
    test,
};

/// Just below the length that a frame may have.
pub(crate) const FRAME: usize = 16_000_000;

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("pulls_of_15_mb_behind_a_lane", parked),
        test("frames_that_lack_a_byte", |abuse, name| {
            partial(
                &abuse.world(name, "")?,
                name,
                "100 frames of 16 MB that lack their last byte",
                100,
                FRAME,
            )
        }),
        test("frames_of_60_kb_that_lack_a_byte", |abuse, name| {
            partial(
                &abuse.world(name, "")?,
                name,
                "3,000 frames of 60 KB that lack their last byte",
                3000,
                60_000,
            )
        }),
        test("heartbeats_of_1_mb", |abuse, name| {
            let what = "60 connections with 8 heartbeats of 1 MB each";
            heartbeats(&abuse.world(name, "")?, name, what)
        }),
        test("clients_that_never_read", never_read),
    ]
}

pub(crate) fn all() -> Vec<(String, Test)> {
    vec![test("clients_that_pipeline_lookups", pipelined)]
}

/// Pulls wait until brokers know their consumer, and these brokers take their time.
fn parked(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const PULLS: i32 = 150;
    let attack = Attack::new(
        name,
        "4",
        "one connection: 150 pulls with bodies of 15 MB, behind a lane",
    );
    abuse.judge(&attack, |ground| async move {
        ground.seen.heartbeat_ms.store(60_000, Ordering::Relaxed);
        let mut line = ground.line().await?;
        line.send(&register("slow")).await?;
        let frame = pull("known-attackers", 1000).body(vec![b'x'; 15_000_000]);
        let frame = frame.to_frame(9);
        for _ in 0..PULLS {
            // It may be read no further, or ended.
            if line.write(&frame).await.is_err() {
                break;
            }
        }
        ground.stay().await;
        Ok(())
    })
}

pub(crate) fn partial(
    world: &World,
    name: &str,
    what: &'static str,
    connections: usize,
    length: usize,
) -> Result<Outcome> {
    let attack = Attack::new(name, "4", what);
    world.judge(&attack, move |ground| async move {
        let mut frame = send("known", length).to_frame(1);
        frame.pop();
        let frame = Arc::new(frame);
        ground
            .many(connections, |mut line, _| {
                let frame = Arc::clone(&frame);
                async move {
                    line.write(&frame).await?;
                    line.drain().await
                }
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

/// A heartbeat of about that many bytes.
pub(crate) fn long_heartbeat(id: &str, size: usize) -> Request {
    let expression = "x".repeat(size);
    let body = format!(
        r#"{{"clientID":"{id}","producerDataSet":[],"consumerDataSet":[{{"groupName":"{GROUP}","messageModel":"CLUSTERING","subscriptionDataSet":[{{"topic":"known-attackers","subString":"{expression}","expressionType":"SQL92"}}]}}]}}"#
    );
    Request::new(RequestCode::HEART_BEAT).body(body)
}

pub(crate) fn heartbeats(world: &World, name: &str, what: &'static str) -> Result<Outcome> {
    const IDS: usize = 8;
    let attack = Attack::new(name, "4", what).lasting(Duration::from_secs(5));
    world.judge(&attack, |ground| async move {
        ground
            .many(60, |mut line, nth| async move {
                for id in 0..IDS {
                    let heartbeat = long_heartbeat(&format!("long-{nth}-{id}"), 1_000_000);
                    line.send(&heartbeat).await?;
                }
                line.drain().await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn never_read(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(
        name,
        "5",
        "320 connections that ask for routes and never read",
    );
    abuse.judge(&attack, |ground| async move {
        ground
            .many(320, |mut line, _| async move {
                // Once it is read no further, the writing stands still.
                line.send_many(&route("known"), 20_000).await?;
                line.idle(Duration::from_secs(60)).await;
                Ok(())
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn pipelined(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(
        name,
        "4",
        "320 connections that pipeline look-ups of their own",
    );
    abuse.judge(&attack, |ground| async move {
        ground
            .many(320, |mut line, _| async move {
                for _ in 0..40 {
                    line.send_many(&route("missing-10000000"), 250).await?;
                    line.drain_for(Duration::from_millis(20)).await?;
                }
                sleep(Duration::from_secs(60)).await;
                Ok(())
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}
