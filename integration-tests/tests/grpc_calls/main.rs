//! The gRPC protocol call by call, with a real cluster: what real clients do not do on demand, and
//! the complaints about the Java proxy.

mod addresses;
mod bad_input;
mod calls;
mod common;
mod crossing;
mod dead_letters;
mod delivery;
mod lite;
mod mixed;
mod order;
mod presence;
mod replicas;
mod tools;

use std::process::ExitCode;

use integration_tests::rocketmq::Layout;
use integration_tests::suite::{Suite, TestFn};

/// Those that wait for long, which start first.
const LONG: &[&str] = &[
    "a_dead_letter_is_not_delivered_again",
    "a_replica_dies_between_receive_and_ack",
    "a_slow_listener_gets_a_message_once",
    "an_upload_that_stops",
    "lite_subscriptions_end_with_their_client",
    "without_retries_there_is_a_first_delivery",
    "a_cancelled_poll_gives_its_message_back",
    "an_undecided_transaction_is_asked_about",
    "mqadmin_shows_a_consumer_and_its_lag",
    "queues_of_lite_topics_are_consumed",
    "messages_cross_from_grpc",
    "messages_cross_to_grpc",
];

fn main() -> ExitCode {
    let mut tests: Vec<(&'static str, TestFn)> = [
        addresses::TESTS,
        bad_input::TESTS,
        calls::TESTS,
        crossing::TESTS,
        dead_letters::TESTS,
        delivery::TESTS,
        lite::TESTS,
        mixed::TESTS,
        order::TESTS,
        presence::TESTS,
        replicas::TESTS,
        tools::TESTS,
    ]
    .concat();
    tests.sort_by_key(|(name, _)| !LONG.contains(name));
    let suite = Suite {
        name: "grpc_calls",
        brokers: &["broker-a", "broker-b"],
        clients: &[],
        parallel: 6,
        expected_warnings: &["client sent invalid HTTP", "invalid frame", "slow call"],
        only_through_remora: tests.iter().map(|(name, _)| *name).collect(),
        tests,
    };
    suite.run_on(Layout {
        // Lite topics are off by default.
        further: "enableLmq=true\nenableMultiDispatch=true\n",
        ..Layout::default()
    })
}
