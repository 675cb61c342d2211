//! The official Java client, unmodified, against a real cluster of two brokers.

mod consume;
mod load;
mod offsets;
mod produce;
mod rebalance;

use std::process::ExitCode;

use integration_tests::suite::Suite;

fn main() -> ExitCode {
    let suite = Suite {
        name: "java_client",
        brokers: &["broker-a", "broker-b"],
        parallel: 3,
        expected_warnings: &[],
        only_through_remora: &[],
        // Those that take longest come first.
        tests: [
            rebalance::TESTS,
            offsets::TESTS,
            consume::TESTS,
            produce::TESTS,
            load::TESTS,
        ]
        .concat(),
    };
    suite.run()
}
