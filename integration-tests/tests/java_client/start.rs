//! How soon a new consumer pulls. What is stored between its look for an offset and the broker's
//! answer where a queue ends is passed over, directly as well: the longer it takes to get there,
//! the more that is.

use std::{env, time::Duration};

use anyhow::{Result, ensure};
use integration_tests::{
    scenario::Scenario,
    suite::{TestFn, report},
    target::Target,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[("first_pull_comes_as_soon_as_directly", first_pull)];

/// How many consumers are started either way, and how much later the middle one may pull; on a
/// machine that others use, and on one that they do not.
const BUSY: (usize, f64) = (3, 3.0);
const QUIET: (usize, f64) = (15, 1.2);

fn first_pull(it: &Scenario<'_>) -> Result<()> {
    let (starts, limit) = match env::var("REMORA_IT_CLIENTS").as_deref() {
        Ok("all") => QUIET,
        _ => BUSY,
    };
    let topic = it.topic()?;
    let (mut through, mut direct) = (Vec::new(), Vec::new());
    for nth in 0..starts {
        through.push(start(it, &topic, &format!("through-{nth}"), it.target())?);
        direct.push(start(
            it,
            &topic,
            &format!("direct-{nth}"),
            it.cluster().target(),
        )?);
    }
    let (through, direct) = (middle(through), middle(direct));
    let ratio = through.as_secs_f64() / direct.as_secs_f64();
    report(&format!(
        "from the first heartbeat to the first pull: {through:?}, directly {direct:?}, {ratio:.2} times as long"
    ));
    ensure!(ratio <= limit, "{through:?}, directly {direct:?}");
    Ok(())
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Starts a consumer of a group that there has not been, and ends it when it has pulled.
fn start(it: &Scenario<'_>, topic: &str, group: &str, target: &Target) -> Result<Duration> {
    let mut consumer = it
        .push_consumer(topic)
        .option("group", it.name(group))
        .option("from", "LAST_OFFSET")
        .option("first-pull", true)
        .target(target)
        .start()?;
    let time = consumer.first_pull()?;
    it.stop([consumer])?;
    Ok(time)
}
