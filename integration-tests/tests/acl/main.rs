//! Brokers with users: they judge what each client has signed, through Remora as without it.

mod own_key;
mod right_key;
mod users;
mod wrong_key;

use std::process::ExitCode;

use integration_tests::{
    compare::BROKERS,
    rocketmq::Layout,
    suite::{Suite, TestFn},
};

fn main() -> ExitCode {
    let tests: Vec<(&'static str, TestFn)> =
        [right_key::TESTS, wrong_key::TESTS, own_key::TESTS].concat();
    let through_remora = [wrong_key::TESTS, own_key::TESTS].concat();
    let suite = Suite {
        name: "acl",
        brokers: &BROKERS,
        clients: &[],
        parallel: 3,
        expected_warnings: &[],
        only_through_remora: through_remora.iter().map(|(name, _)| *name).collect(),
        tests,
    };
    suite.run_on(Layout {
        secured: true,
        ..Layout::default()
    })
}
