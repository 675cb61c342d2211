//! The Python client `rocketmq`, which is the C++ client under a thin binding, against a real
//! cluster of two brokers: directly, and through Remora with a port for each.

mod consume;
mod send;

use std::process::ExitCode;

use integration_tests::{
    compare::{Comparison, SHARED},
    python::Python,
};

fn main() -> ExitCode {
    // A member that joins a group starts at the end here, so that the shared features do not fit.
    let shared = SHARED
        .iter()
        .copied()
        .filter(|feature| feature.name != "push_broadcasting");
    let comparison = Comparison {
        name: "python_client",
        client: "Python rocketmq 0.4.4",
        parallel: 2,
        program: Python::rocketmq,
        // Those that take longest come first.
        features: consume::FEATURES
            .iter()
            .chain(send::FEATURES)
            .copied()
            .chain(shared)
            .collect(),
    };
    comparison.run()
}
