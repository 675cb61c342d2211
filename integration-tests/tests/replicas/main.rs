//! Two replicas of Remora behind one balancer, in front of a cluster that nothing else uses.

mod grpc;
mod load;
mod requests;
mod restart;
mod rolling;

use std::{env, net::Ipv4Addr, process::ExitCode};

use anyhow::{Context, Result};
use integration_tests::{
    compare::BROKERS,
    replicas::Replicas,
    scenario::Scenario,
    suite::{Suite, TestFn},
};

/// The newest client that does not name the broker of a request; it uses the brokers' own ports.
const OLD: &str = "4.9.3";

/// Of the tests of whole restarts, the one that a quick run leaves out: the one with an old member
/// among the others proves more.
const ONLY_WITH_ALL_CLIENTS: &str = "replicas_restart_in_turn";

/// The versions of the Java client that a run with all clients needs beside the newest.
const ALL_VERSIONS: &[&str] = &["4.5.2", OLD, "4.9.8", "5.0.0", "5.3.3"];

fn main() -> ExitCode {
    let mut tests: Vec<(&'static str, TestFn)> = [
        load::QUICK,
        grpc::QUICK,
        restart::TESTS,
        requests::TESTS,
        rolling::TESTS,
    ]
    .concat();
    let all = env::var("REMORA_IT_CLIENTS").as_deref() == Ok("all");
    if all {
        tests.extend(load::ALL);
        tests.extend(grpc::ALL);
    } else {
        tests.retain(|(name, _)| *name != ONLY_WITH_ALL_CLIENTS);
    }
    let names: Vec<&'static str> = tests.iter().map(|(name, _)| *name).collect();
    let suite = Suite {
        name: "replicas",
        brokers: &BROKERS,
        clients: if all { ALL_VERSIONS } else { &[OLD, "4.9.8"] },
        // Each test has replicas of its own, and some of them keep the machine busy.
        parallel: 1,
        expected_warnings: &[],
        // There are no replicas otherwise.
        only_through_remora: names,
        tests,
    };
    suite.run()
}

/// Replicas behind HAProxy for one test.
fn replicas(it: &Scenario<'_>) -> Result<Replicas> {
    let binary = it.remora_binary().context("the test is about Remora")?;
    let name_servers = &it.cluster().target().name_server;
    let at = Ipv4Addr::LOCALHOST.into();
    let dir = it.dir("replicas")?;
    Replicas::start(binary, &dir, name_servers, &BROKERS, at)
}
