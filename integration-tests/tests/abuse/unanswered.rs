//! Rows 7 and 9: requests that brokers leave unanswered, each code by the table, and each as one
//! that wants no answer.

use std::time::Duration;

use anyhow::Result;
use integration_tests::abuse::{Attack, BROKERS, Ground, Outcome, Request, UNANSWERED, World};
use remoting::table::Row;
use remoting_codec::RequestCode;
use tokio::time::sleep;

use crate::{
    Abuse, Test,
    codes::{GROUP, register, request, served},
    test,
};

/// How many requests brokers get at a time, again and again.
const AT_A_TIME: usize = 6;
const AGAIN: Duration = Duration::from_millis(100);

/// How many attackers ask everything.
const CONNECTIONS: usize = 6;

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("transactions_that_end_with_no_type", no_type),
        test("each_code_oneway", |abuse, name| {
            let what = "each code, as requests that want no answer";
            let attack = Attack::new(name, "7", what).lasting(Duration::from_secs(6));
            abuse.judge(&attack, |ground| {
                oneway(ground, served().collect(), Duration::from_millis(800))
            })
        }),
        test("each_code_unanswered", |abuse, name| {
            let what = "each code, left unanswered by brokers";
            let attack = Attack::new(name, "7", what).lasting(Duration::from_secs(7));
            abuse.judge(&attack, |ground| unanswered(ground, served().collect()))
        }),
        test("ten_thousand_that_are_never_answered", ten_thousand),
    ]
}

/// Each code by itself.
pub(crate) fn all() -> Vec<(String, Test)> {
    let mut tests = Vec::new();
    for row in served() {
        let code = row.code.name().unwrap_or("unnamed").to_lowercase();
        tests.push(test(format!("oneway_{code}"), move |abuse, name| {
            let attack = Attack::new(name, "7", "this code, as requests that want no answer");
            abuse.judge(&attack, move |ground| {
                oneway(ground, vec![row], Duration::from_millis(50))
            })
        }));
        tests.push(test(format!("unanswered_{code}"), move |abuse, name| {
            let attack = Attack::new(name, "7", "this code, left unanswered by brokers");
            let attack = attack.lasting(Duration::from_secs(6));
            abuse.judge(&attack, move |ground| unanswered(ground, vec![row]))
        }));
    }
    tests
}

fn no_type(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let what = "six END_TRANSACTION at a time with commitOrRollback=0";
    ends_of_no_type(&abuse.world(name, "")?, name, what)
}

/// The breaker must not open for it: where other requests are answered all the time, it closes so
/// soon that few clients notice, and only the log shows that it was open.
pub(crate) fn ends_of_no_type(world: &World, name: &str, what: &'static str) -> Result<Outcome> {
    let attack = Attack::new(name, "7", what);
    let attack = attack.lasting(Duration::from_secs(6)).failures(0);
    let mut outcome = world.judge(&attack, |ground| async move {
        ground
            .many(4, |mut line, nth| async move {
                // What one broker does not take, another may.
                let [first, second] = BROKERS;
                let broker = if nth % 2 == 0 { first } else { second };
                let end = end_of_no_type().field("bname", broker);
                loop {
                    line.send_many(&end, AT_A_TIME).await?;
                    line.drain_for(AGAIN).await?;
                }
            })
            .await;
        Ok(())
    })?;
    let warnings = world.remora().log_lines("\"level\":\"WARN\"")?;
    let opened = warnings
        .iter()
        .filter(|line| line.contains("circuit opened"));
    match opened.count() {
        0 => {}
        times => outcome
            .broken
            .push(format!("a broker was given up {times} times")),
    }
    Ok(outcome)
}

/// What a broker looks at and answers nothing to.
fn end_of_no_type() -> Request {
    Request::new(RequestCode::END_TRANSACTION)
        .field("topic", "known")
        .field("producerGroup", GROUP)
        .field("tranStateTableOffset", 0)
        .field("commitLogOffset", 0)
        .field("commitOrRollback", 0)
        .field("fromTransactionCheck", false)
        .field("msgId", "x")
        .field("bname", BROKERS[0])
}

async fn oneway(ground: Ground, rows: Vec<&'static Row>, round: Duration) -> Result<()> {
    ground
        .many(CONNECTIONS, |mut line, nth| {
            let rows = rows.clone();
            async move {
                line.call(&register(&format!("one-way-{nth}"))).await?;
                for _ in 0..100 {
                    for row in &rows {
                        let asked = request(row, "known-attackers").oneway();
                        line.send_many(&asked, AT_A_TIME).await?;
                    }
                    line.drain_for(round).await?;
                }
                Ok(())
            }
        })
        .await;
    Ok(())
}

async fn unanswered(ground: Ground, rows: Vec<&'static Row>) -> Result<()> {
    let each = if rows.len() > 1 { 1 } else { AT_A_TIME };
    ground
        .many(CONNECTIONS, |mut line, nth| {
            let rows = rows.clone();
            async move {
                line.call(&register(&format!("unanswered-{nth}"))).await?;
                for _ in 0..60 {
                    for row in &rows {
                        line.send_many(&request(row, UNANSWERED), each).await?;
                    }
                    line.drain_for(AGAIN).await?;
                }
                Ok(())
            }
        })
        .await;
    Ok(())
}

/// More requests without an answer than one connection has places for.
fn ten_thousand(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "9", "20,002 requests that no broker answers").failures(0);
    let attack = attack.lasting(Duration::from_secs(8));
    abuse.judge(&attack, |ground| async move {
        ground
            .many(2, |mut line, _| async move {
                let asked = Request::new(RequestCode::GET_MAX_OFFSET)
                    .field("topic", UNANSWERED)
                    .field("queueId", 0)
                    .field("bname", BROKERS[0]);
                line.send_many(&asked, 10_001).await?;
                line.drain().await
            })
            .await;
        sleep(Duration::from_secs(60)).await;
        Ok(())
    })
}
