//! Brokers and name servers that fail, on a real cluster, and how clients are affected.
//!
//! A quick run has the tests that prove most; `REMORA_IT_FAULTS=all` has those that take minutes as
//! well (`make test-faults`).

mod flow;
mod frozen;
mod killed;
mod name_server;
mod senders;
mod whole;

use std::{env, process::ExitCode};

use integration_tests::{
    compare::BROKERS,
    rocketmq::Layout,
    suite::{Suite, TestFn},
};

/// The broker that has a slave.
const WITH_SLAVE: &str = "broker-a";

fn main() -> ExitCode {
    let mut tests: Vec<(&'static str, TestFn)> = [killed::QUICK, frozen::QUICK].concat();
    if env::var("REMORA_IT_FAULTS").as_deref() == Ok("all") {
        tests.extend([killed::LONG, frozen::LONG, name_server::LONG, whole::LONG].concat());
    }
    let suite = Suite {
        name: "broker_faults",
        brokers: &BROKERS,
        clients: &[],
        // What one test takes away, another would miss.
        parallel: 1,
        // That one of them is away is worth a warning.
        expected_warnings: &["name server", "broker", "slow request"],
        // Directly, a send to a frozen broker fails when its client's time is up, and what asks
        // Remora asks no broker.
        only_through_remora: vec![
            "broker_frozen",
            "broker_frozen_takes_no_more_than_its_share_of_memory",
            "name_server_gone_for_a_while",
            "name_server_gone_for_minutes",
        ],
        tests,
    };
    suite.run_on(Layout {
        with_slave: &[WITH_SLAVE],
        ..Layout::default()
    })
}
