//! Brokers with users: they judge what each client has signed, through Remora as without it.

mod own_key;
mod right_key;
mod users;
mod wrong_key;

use std::{env, process::ExitCode};

use integration_tests::{
    compare::BROKERS,
    rocketmq::Layout,
    suite::{Suite, TestFn},
};

fn main() -> ExitCode {
    let tests: Vec<(&'static str, TestFn)> =
        [right_key::TESTS, wrong_key::TESTS, own_key::TESTS].concat();
    let mut through_remora = [wrong_key::TESTS, own_key::TESTS].concat();
    // That brokers let a right key do directly what they do through Remora is looked at by
    // `make test-clients`.
    if env::var("REMORA_IT_CLIENTS").as_deref() != Ok("all") {
        through_remora.extend(right_key::TESTS);
    }
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
