//! Established connections to brokers that fall silent, without an end or a reset: what a NAT or a
//! balancer that has lost an entry does. New connections work. Only what was under way may fail,
//! all go on within ten seconds, and consumers stay members.
//!
//! A quick run has both directions with a real cluster, and everything with a fake one;
//! `REMORA_IT_ABUSE=all` has the rest.

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

fn main() -> ExitCode {
    let mut tests: Vec<(&'static str, TestFn)> = [real::QUICK, fake::TESTS].concat();
    if env::var("REMORA_IT_ABUSE").as_deref() == Ok("all") {
        tests.extend(real::ALL);
    }
    let names: Vec<&'static str> = tests.iter().map(|(name, _)| *name).collect();
    let suite = Suite {
        name: "half_open",
        brokers: &BROKERS,
        clients: &[],
        // They wait most of the time. The real ones silence connections of the whole cluster: there
        // is one in a quick run, and all of them ask for a run of their own.
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
