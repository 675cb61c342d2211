//! The official Java client, unmodified, against a real cluster of two brokers.

mod consume;
mod load;
mod membership;
mod offsets;
mod pop;
mod produce;
mod query;
mod rebalance;
mod requests;
mod static_topic;
mod transactions;

use std::process::ExitCode;

use integration_tests::suite::Suite;

fn main() -> ExitCode {
    let suite = Suite {
        name: "java_client",
        brokers: &["broker-a", "broker-b"],
        parallel: 3,
        expected_warnings: &[],
        // Directly, what a broker hands out for a dead member stays invisible.
        only_through_remora: &["pop_member_dies_while_it_waits"],
        // Those that take longest come first.
        tests: [
            rebalance::TESTS,
            membership::TESTS,
            pop::TESTS,
            transactions::TESTS,
            offsets::TESTS,
            consume::TESTS,
            produce::TESTS,
            requests::TESTS,
            query::TESTS,
            static_topic::TESTS,
            load::TESTS,
        ]
        .concat(),
    };
    suite.run()
}
