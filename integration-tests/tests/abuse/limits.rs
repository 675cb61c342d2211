//! Limits that many clients approach, each just below it.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use integration_tests::abuse::{Attack, BROKERS, Outcome, Request, UNANSWERED};
use remoting_codec::RequestCode;
use tokio::time::sleep;

use crate::{
    Abuse, Test,
    codes::{register, route, send},
    memory::long_heartbeat,
    test,
};

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("many_just_below_outstanding_requests", outstanding),
        test("many_just_below_frame_bytes", frames),
    ]
}

pub(crate) fn all() -> Vec<(String, Test)> {
    vec![
        test("many_just_below_client_buffer_bytes", buffers),
        test("many_just_below_header_bytes", headers),
        test("many_just_below_heartbeat_bytes", heartbeats),
        test("many_just_below_connections_per_address", connections),
        test("many_just_below_frame_ms", dribbling),
    ]
}

/// `limits.outstanding_requests`.
fn outstanding(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const EACH: usize = 16_383;
    let attack = Attack::new(name, "25", "8 clients with 16,383 unanswered requests each");
    let attack = attack.lasting(Duration::from_secs(6));
    abuse.judge(&attack, |ground| async move {
        ground
            .many(8, |mut line, _| async move {
                let asked = Request::new(RequestCode::GET_MAX_OFFSET)
                    .field("topic", UNANSWERED)
                    .field("queueId", 0)
                    .field("bname", BROKERS[0]);
                line.send_many(&asked, EACH).await?;
                line.drain().await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

/// `limits.frame_bytes`: whole frames, all at the same time.
fn frames(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "25", "40 clients that send 16 MB at the same time");
    abuse.judge(&attack, |ground| async move {
        let frame = Arc::new(send("known-attackers", 16_000_000).to_frame(1));
        ground
            .many(40, |mut line, _| {
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

/// `limits.client_buffer_bytes`: what they do not read is less.
fn buffers(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "25", "600 clients that leave 900 KB unread each");
    abuse.judge(&attack, |ground| async move {
        ground
            .many(600, |mut line, _| async move {
                // Answers have some 600 bytes, and sockets hold some as well.
                line.send_many(&route("known"), 4_000).await?;
                line.idle(Duration::from_secs(60)).await;
                Ok(())
            })
            .await;
        Ok(())
    })
}

/// `limits.header_bytes`.
fn headers(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(
        name,
        "25",
        "100 clients with headers of 64 KB, of 10,000 fields",
    );
    abuse.judge(&attack, |ground| async move {
        let fields = (0..9_000).map(|nth| format!("{nth:x}"));
        let asked = fields.fold(
            Request::new(RequestCode::GET_ROUTEINFO_BY_TOPIC),
            |asked, name| asked.field_unchecked(name, ""),
        );
        let asked = asked.field("topic", "known");
        let frame = Arc::new(asked.to_frame(1));
        ground
            .many(100, |mut line, _| {
                let frame = Arc::clone(&frame);
                async move {
                    for _ in 0..40 {
                        line.write(&frame).await?;
                        line.drain_for(Duration::from_millis(50)).await?;
                    }
                    Ok(())
                }
            })
            .await;
        Ok(())
    })
}

/// What a heartbeat may have by default.
fn heartbeats(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "25", "500 clients with heartbeats of 1 MB");
    abuse.judge(
        &attack.lasting(Duration::from_secs(6)),
        |ground| async move {
            ground
                .many(500, |mut line, nth| async move {
                    line.send(&long_heartbeat(&format!("long-{nth}"), 1_000_000))
                        .await?;
                    line.drain().await
                })
                .await;
            ground.stay().await;
            Ok(())
        },
    )
}

/// `limits.connections_per_address`; the healthy are at the same address.
fn connections(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const CONNECTIONS: usize = 9_900;
    let attack = Attack::new(name, "25", "9,900 connections, each with a heartbeat");
    abuse.judge(
        &attack.lasting(Duration::from_secs(10)),
        |ground| async move {
            let mut lines = Vec::new();
            for nth in 0..CONNECTIONS {
                let mut line = ground.line().await?;
                // One in ten: each gets a connection to each broker, and both ends are of this
                // machine.
                let first = if nth % 10 == 0 {
                    register(&format!("one-of-many-{nth}"))
                } else {
                    route("known")
                };
                line.send(&first).await?;
                lines.push(line);
            }
            ground.stay().await;
            Ok(())
        },
    )
}

/// `limits.frame_ms` and `limits.handshake_ms`: frames that come byte by byte.
fn dribbling(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "25", "2,000 clients that send a byte every 200 ms");
    abuse.judge(
        &attack.lasting(Duration::from_secs(6)),
        |ground| async move {
            let frame = Arc::new(send("known-attackers", 100).to_frame(1));
            ground
                .many(2_000, |mut line, _| {
                    let frame = Arc::clone(&frame);
                    async move {
                        for byte in frame.iter() {
                            line.write(&[*byte]).await?;
                            sleep(Duration::from_millis(200)).await;
                        }
                        Ok(())
                    }
                })
                .await;
            Ok(())
        },
    )
}
