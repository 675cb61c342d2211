//! Row 11: questions for routes of topics that there are not.

use std::time::Duration;

use anyhow::{Context, Result};
use integration_tests::abuse::{Attack, Ground, Outcome};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{Abuse, Test, codes::route, test};

/// How soon a new topic's route must be known all the same.
pub(crate) const NEW_TOPIC: Duration = Duration::from_secs(1);

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![test("routes_of_topics_that_do_not_exist", missing)]
}

fn missing(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const CONNECTIONS: usize = 8;
    /// Of each connection, in each round: 35,000 a second in all.
    const EACH: usize = 44;
    const ROUND: Duration = Duration::from_millis(10);
    let attack = Attack::new(
        name,
        "11",
        "35,000 look-ups a second of topics that do not exist",
    );
    abuse.judge(&attack, |ground| async move {
        let flood = ground.many(CONNECTIONS, |mut line, nth| async move {
            let asked = route(&format!("missing-{nth}-10000000"));
            let mut due = Instant::now();
            loop {
                line.send_many(&asked, EACH).await?;
                due += ROUND;
                line.drain_for(Duration::from_millis(1)).await?;
                sleep_until(due).await;
            }
        });
        tokio::select! {
            () = flood => Ok(()),
            failed = look_up_new(&ground) => failed,
        }
    })
}

/// Looks up topics that were never looked up before, one after the other. Returns when one takes
/// too long.
pub(crate) async fn look_up_new(ground: &Ground) -> Result<()> {
    let mut line = ground.line().await?;
    for nth in 0.. {
        sleep(Duration::from_millis(20)).await;
        let topic = route(&format!("known-new-{nth}"));
        let answer = timeout(NEW_TOPIC, line.call(&topic)).await;
        let answer = answer.context("a new topic's route was not there in time")??;
        anyhow::ensure!(answer.code == 0, "a new topic was answered {}", answer.code);
    }
    Ok(())
}
