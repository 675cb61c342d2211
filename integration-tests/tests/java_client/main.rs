//! The official Java client, unmodified, against a real cluster of two brokers: what concerns
//! Remora and the newest client alone. What every version of the client can do is in
//! `java_versions`, for all versions.

mod load;
mod membership;
mod ons;
mod pop;
mod query;
mod rebalance;
mod start;
mod static_topic;
mod vip;

use std::process::ExitCode;

use integration_tests::suite::Suite;

fn main() -> ExitCode {
    let suite = Suite {
        name: "java_client",
        brokers: &["broker-a", "broker-b"],
        clients: &[],
        parallel: 3,
        expected_warnings: &[],
        // Directly, what a broker hands out for a dead member stays invisible.
        only_through_remora: vec!["pop_member_dies_while_it_waits"],
        // Those that take longest come first.
        tests: [
            rebalance::TESTS,
            membership::TESTS,
            pop::TESTS,
            query::TESTS,
            static_topic::TESTS,
            load::TESTS,
            ons::TESTS,
            start::TESTS,
            vip::TESTS,
        ]
        .concat(),
    };
    suite.run()
}
