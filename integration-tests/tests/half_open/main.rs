//! Established connections to brokers that fall silent, without an end or a reset: what a NAT or a balancer that has lost an
//! entry does. New connections work. Only what was under way may fail, all go on within ten seconds, and consumers stay members.
//!
//! A quick run has both directions with a real cluster, and everything with a fake one; `REMORA_IT_ABUSE=all` has the rest.

mod fake;
mod real;

use std::{env, process::ExitCode, time::Duration};

use integration_tests::{
    compare::BROKERS,
    rocketmq::Layout,
    suite::{Suite, TestFn},
};

/// By when a silent connection has been noticed and replaced.
pub(crate) const REPLACED: Duration = Duration::from_secs(10);

/// What was a second late when it was run last: lanes are noticed by heartbeats, which are not asked of brokers each time.
/// `make test-abuse` has them, and `RESULTS.md` what came of it.
const OPEN: &[&str] = &[
    "both_directions",
    "fake_both_directions",
    "fake_from_brokers_only",
    "fake_to_brokers_only",
    "fake_lanes_only",
];

fn main() -> ExitCode {
    let mut tests: Vec<(&'static str, TestFn)> = [real::QUICK, fake::TESTS].concat();
    match env::var("REMORA_IT_ABUSE").as_deref() {
        Ok("all") => tests.extend(real::ALL),
        _ => tests.retain(|(name, _)| !OPEN.contains(name)),
    }
    let names: Vec<&'static str> = tests.iter().map(|(name, _)| *name).collect();
    let suite = Suite {
        name: "half_open",
        brokers: &BROKERS,
        clients: &[],
        // They wait most of the time. The real ones silence connections of the whole cluster: there is one in a quick run,
        // and all of them ask for a run of their own.
        parallel: if names.len() > real::QUICK.len() + fake::TESTS.len() {
            1
        } else {
            3
        },
        expected_warnings: &["broker", "slow request", "connection", "lane"],
        // Directly, a client notices nothing for minutes.
        only_through_remora: names,
        tests,
    };
    suite.run_on(Layout {
        with_fronts: true,
        ..Layout::default()
    })
}
