//! Rows 3, 8 and 14: polls that are many, that last, and of clients whose clock is wrong.

use std::time::Duration;

use anyhow::Result;
use integration_tests::{
    abuse::{Attack, Outcome, Request, World},
    wait::now_ms,
};
use remoting_codec::RequestCode;

use crate::{
    Abuse, Test,
    codes::{poll, pull, register},
    test,
};

/// As long as a client may want to wait.
pub(crate) const TEN_MINUTES_MS: u64 = 600_000;

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("pulls_that_wait_for_ten_minutes", |abuse, name| {
            waiting(&abuse.world(name, "")?, name, || {
                pull("known-attackers", TEN_MINUTES_MS)
            })
        }),
        test("polls_of_a_clock_that_is_ahead", |abuse, name| {
            ahead(abuse, name, RequestCode::POP_MESSAGE)
        }),
        test("an_aged_client_that_pulls_without_a_pause", aged),
    ]
}

pub(crate) fn all() -> Vec<(String, Test)> {
    vec![
        test("lite_pulls_that_wait_for_ten_minutes", |abuse, name| {
            waiting(&abuse.world(name, "")?, name, || {
                let pull = pull("known-attackers", TEN_MINUTES_MS);
                let fields = pull.fields().to_vec();
                let lite = Request::new(RequestCode::LITE_PULL_MESSAGE);
                fields
                    .iter()
                    .fold(lite, |lite, (name, value)| lite.field(name, value))
            })
        }),
        test("pops_that_wait_for_ten_minutes", |abuse, name| {
            waiting(&abuse.world(name, "")?, name, || {
                poll(RequestCode::POP_MESSAGE, TEN_MINUTES_MS, now_ms())
            })
        }),
        test("notifications_that_wait_for_ten_minutes", |abuse, name| {
            waiting(&abuse.world(name, "")?, name, || {
                poll(RequestCode::NOTIFICATION, TEN_MINUTES_MS, now_ms())
            })
        }),
        test("notifications_of_a_clock_that_is_ahead", |abuse, name| {
            ahead(abuse, name, RequestCode::NOTIFICATION)
        }),
    ]
}

pub(crate) fn waiting(world: &World, name: &str, request: fn() -> Request) -> Result<Outcome> {
    const CONNECTIONS: usize = 8;
    const EACH: usize = 16_384;
    let attack = Attack::new(
        name,
        "3",
        "8 connections with 16,384 polls of ten minutes each",
    );
    world.judge(&attack, move |ground| async move {
        ground
            .many(CONNECTIONS, |mut line, nth| async move {
                line.call(&register(&format!("patient-{nth}"))).await?;
                line.send_many(&request(), EACH).await?;
                line.drain().await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn ahead(abuse: &Abuse, name: &str, code: RequestCode) -> Result<Outcome> {
    const AHEAD_MS: u64 = 8_000;
    let attack = Attack::new(name, "8", "polls of clients whose clock is 8 s ahead")
        .lasting(Duration::from_secs(9));
    abuse.judge(&attack, move |ground| async move {
        ground
            .many(10, |mut line, nth| async move {
                line.call(&register(&format!("hasty-{nth}"))).await?;
                loop {
                    line.send_many(&poll(code, 100, now_ms() + AHEAD_MS), 3)
                        .await?;
                    line.drain_for(Duration::from_millis(500)).await?;
                }
            })
            .await;
        Ok(())
    })
}

fn aged(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const PULLS: usize = 600_000;
    const AGE: &str = "[connection_age]\nmax_ms = 1500\njitter_percent = 0\n";
    let attack = Attack::new(
        name,
        "14",
        "a client that is to leave and pulls on, without a pause",
    )
    .lasting(Duration::from_secs(6));
    abuse.world(name, AGE)?.judge(&attack, |ground| async move {
        ground
            .many(2, |mut line, nth| async move {
                line.call(&register(&format!("aged-{nth}"))).await?;
                let pull = pull("known-attackers", 15_000);
                let mut left = PULLS;
                while left > 0 {
                    line.send_many(&pull, 2000).await?;
                    // Its answers are read as they arrive.
                    line.drain_for(Duration::from_millis(1)).await?;
                    left -= 2000;
                }
                line.drain().await
            })
            .await;
        Ok(())
    })
}
