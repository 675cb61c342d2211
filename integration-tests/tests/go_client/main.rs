//! The Go client, unmodified, against a real cluster of two brokers: directly, and through Remora
//! with a port for each.

mod consume;
mod exchange;
mod send;

use std::process::ExitCode;

use integration_tests::{
    compare::{Comparison, SHARED},
    go::Go,
};

fn main() -> ExitCode {
    let comparison = Comparison {
        name: "go_client",
        client: "Go 2.1.2",
        parallel: 3,
        program: Go::build,
        // Those that take longest come first.
        features: [
            exchange::FEATURES,
            consume::FEATURES,
            SHARED,
            send::FEATURES,
        ]
        .concat(),
    };
    comparison.run()
}
