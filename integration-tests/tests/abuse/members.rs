//! Rows 10, 13 and 15, and a consumer that hangs: the heartbeats of clients, and their answers to
//! brokers.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::abuse::{Attack, BROKERS, Ground, Line, Outcome, Request};
use remoting_codec::RequestCode;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Abuse, Test,
    codes::{GROUP, register},
    memory::long_heartbeat,
    test,
};

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("a_thousand_oneway_heartbeats", oneway_heartbeats),
        test("an_answer_that_says_go_away", |abuse, name| {
            let what = "a client answers what an administrator asks it with 1500";
            let attack = Attack::new(name, "13", what);
            abuse.judge(&attack, |ground| asked(ground, Some(GO_AWAY)))
        }),
        test("a_client_that_answers_no_question", |abuse, name| {
            let what = "a client that hangs is asked by administrators (307)";
            let attack = Attack::new(name, "19", what).lasting(Duration::from_secs(5));
            abuse.judge(&attack, |ground| asked(ground, None))
        }),
        test("small_heartbeats_beside_large_ones", amplified),
    ]
}

/// The answer of a broker that wants its clients to reconnect elsewhere.
const GO_AWAY: i32 = 1500;

/// How soon a client that connects meanwhile must be registered.
const NEWCOMER: Duration = Duration::from_secs(2);

fn oneway_heartbeats(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const CONNECTIONS: usize = 1200;
    let attack = Attack::new(
        name,
        "10",
        "1,200 connections with one one-way heartbeat each",
    );
    let attack = attack.lasting(Duration::from_secs(6));
    abuse.judge(&attack, |ground| async move {
        let mut lines = Vec::new();
        for nth in 0..CONNECTIONS {
            let mut line = ground.line().await?;
            line.send(&register(&format!("shy-{nth}")).oneway()).await?;
            lines.push(line);
            // Permits are what is judged here; `connects` judges clients that connect at once.
            if nth % 12 == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        }
        for nth in 0..4 {
            let begun = Instant::now();
            let mut newcomer = ground.line().await?;
            let heartbeat = register(&format!("newcomer-{nth}"));
            let answer = timeout(NEWCOMER, newcomer.call(&heartbeat)).await;
            let answer = answer.context("a newcomer was not registered in time")??;
            ensure!(
                answer.code == 0,
                "a newcomer was answered {} after {:?}",
                answer.code,
                begun.elapsed()
            );
        }
        ground.stay().await;
        Ok(())
    })
}

/// Administrators ask a client for its state, which a broker passes on; the client answers with
/// that code, or not at all.
async fn asked(ground: Ground, code: Option<i32>) -> Result<()> {
    let known = ground.seen.connections.load(Ordering::Relaxed);
    let mut victim = ground.line().await?;
    victim.call(&register("asked")).await?;
    tokio::task::spawn_local(async move {
        let _ = answer(&mut victim, code).await;
        // The attacker stays, whatever it has answered.
        std::future::pending::<()>().await;
    });
    let question = Request::new(RequestCode::GET_CONSUMER_RUNNING_INFO)
        .field("consumerGroup", GROUP)
        .field("clientId", "asked")
        .field("jstackEnable", false)
        .field("bname", BROKERS[0]);
    ground
        .many(8, |mut line, _| {
            let question = question.clone();
            async move {
                for _ in 0..80 {
                    line.send_many(&question, 5).await?;
                    line.drain_for(Duration::from_millis(20)).await?;
                }
                Ok(())
            }
        })
        .await;
    if let Some(code) = code {
        let answer = ground.line().await?.call(&question).await?;
        ensure!(
            answer.code == code,
            "the client's {code} arrives as {}",
            answer.code
        );
        // Each of them has lanes of its own for a client with a heartbeat; none is closed and
        // opened again.
        let more = ground.seen.connections.load(Ordering::Relaxed) - known;
        ensure!(more <= 16, "{more} connections to brokers were made");
    }
    Ok(())
}

async fn answer(victim: &mut Line, code: Option<i32>) -> Result<()> {
    loop {
        let question = victim.receive().await?;
        if let Some(code) = code
            && !question.is_response()
        {
            let answer = Request::response(code).to_frame(question.opaque);
            victim.write(&answer).await?;
        }
    }
}

/// The bytes that brokers get must be in proportion to those that clients send.
fn amplified(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const IDS: usize = 7;
    const SMALL: usize = 200;
    /// What others send meanwhile, for each second.
    const OTHERS: u64 = 1_000_000;
    let attack = Attack::new(
        name,
        "15",
        "8 ids on one connection: 7 with large heartbeats, one that changes",
    );
    let world = abuse.world(name, "")?;
    let mut outcome = world.judge(&attack, |ground| async move {
        let mut line = ground.line().await?;
        let mut sent = 0;
        for id in 0..IDS {
            let large = long_heartbeat(&format!("large-{id}"), 900_000);
            sent += large.to_frame(1).len() as u64;
            // They may be refused, all of them together.
            if line.call(&large).await.is_err() {
                return Ok(());
            }
        }
        let before = ground.seen.bytes.load(Ordering::Relaxed);
        let begun = Instant::now();
        for version in 0..SMALL {
            let body = format!(
                r#"{{"clientID":"small","producerDataSet":[{{"groupName":"p{version}"}}],"consumerDataSet":[]}}"#
            );
            let small = Request::new(RequestCode::HEART_BEAT).body(body);
            sent += small.to_frame(1).len() as u64;
            line.send(&small).await?;
            line.drain_for(Duration::from_millis(10)).await?;
        }
        let got = ground.seen.bytes.load(Ordering::Relaxed) - before;
        let others = OTHERS * (1 + begun.elapsed().as_secs());
        let most = 2 * BROKERS.len() as u64 * sent + others;
        ensure!(
            got <= most,
            "{sent} bytes were sent, and brokers got {got}"
        );
        Ok(())
    })?;
    let bytes = world.seen().bytes.load(Ordering::Relaxed);
    outcome
        .notes
        .push(format!("{} MB to brokers", bytes / 1_000_000));
    Ok(outcome)
}
