//! The JSON API of HTTP, with a real cluster. Each answer is held against the description of the
//! API, and each answer that the description has must come from some test.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod common;
mod consume;
mod contract;
mod errors;
mod events;
mod programs;
mod replicas;
mod requests;
mod send;
mod transactions;

use std::process::ExitCode;

use integration_tests::rocketmq::Layout;
use integration_tests::suite::{Suite, TestFn};

/// Those that wait for long, which start first.
const LONG: &[&str] = &[
    "a_broker_asks_about_transactions",
    "a_stream_waits_for_settlements",
    "messages_are_settled_in_one_request",
    "calls_may_go_to_any_replica",
    "http_replies_to_remoting",
    "an_expired_handle_is_refused",
    "a_generated_client_works",
];

fn main() -> ExitCode {
    let mut tests: Vec<(&'static str, TestFn)> = [
        consume::TESTS,
        errors::TESTS,
        events::TESTS,
        programs::TESTS,
        replicas::TESTS,
        requests::TESTS,
        send::TESTS,
        transactions::TESTS,
    ]
    .concat();
    tests.sort_by_key(|(name, _)| !LONG.contains(name));
    let suite = Suite {
        name: "http_api",
        brokers: &["broker-a", "broker-b"],
        clients: &[],
        parallel: 6,
        expected_warnings: &["slow request"],
        only_through_remora: tests.iter().map(|(name, _)| *name).collect(),
        tests,
    };
    let code = suite.run_on(Layout {
        further: "enableLmq=true\nenableMultiDispatch=true\nrecallMessageEnable=true\n",
        ..Layout::default()
    });
    // Only all tests together see all answers.
    let is_selected = std::env::args()
        .skip(1)
        .any(|argument| !argument.starts_with("--test-"));
    if is_selected || code != ExitCode::SUCCESS {
        return code;
    }
    let missing = contract::missing();
    if missing.is_empty() {
        return code;
    }
    eprintln!("no test has seen these documented answers: {missing:#?}");
    ExitCode::FAILURE
}
