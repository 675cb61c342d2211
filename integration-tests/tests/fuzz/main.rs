//! Generated input for every reader here of bytes that a client or broker has written, for the time
//! that `REMORA_IT_FUZZ_SECONDS` sets; without it, each target tries the inputs of its corpus
//! alone, so that an error that was found once stays found.
//!
//! Each target runs in a process of its own ([`child`]): an input may also end the process, as
//! recursion without a bound does, or never end. An input that fails is made shorter and added to
//! the target's corpus, a file with one input in each line.
//!
//! Whether brokers' own readers agree with the readers here, the judge checks (`../judge`); it
//! tries the headers of these corpora, too.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a target that panics has found something"
)]

mod bodies;
mod calls;
mod child;
mod connection;
mod ext_fields;
mod frame;
#[path = "../judge/generate/mod.rs"]
mod generate;
mod header;
mod http1;
mod http2;
mod http_json;
mod http_sdk;
mod messages;
mod mutate;
mod proxy_header;
#[path = "../judge/random.rs"]
mod random;

mod shorten;

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use integration_tests::{corpus, process::mortal};
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::random::Random;

/// Makes a process try this target.
const CHILD: &str = "REMORA_IT_FUZZ_TARGET";

/// A reader of bytes that a client or broker has written.
#[derive(Clone, Copy)]
struct Target {
    /// Its name, and its corpus's.
    name: &'static str,
    /// Tries an input, and panics when what should hold does not. Answers what the input has led
    /// to: one that leads to something new is worth more tries. See [`outcome`].
    run: fn(&[u8]) -> u64,
    /// Most bytes of an input.
    longest: usize,
    /// What stands in such an input.
    tokens: &'static [&'static [u8]],
    /// Inputs beside those of the corpus.
    seeds: fn() -> Vec<Vec<u8>>,
    /// Makes an input that is not like any of the others, if there is a way to.
    generate: Option<fn(&mut Random) -> Vec<u8>>,
}

/// All such readers have a target here.
const TARGETS: &[Target] = &[
    frame::FRAME,
    header::JSON,
    header::BINARY,
    ext_fields::EXT_FIELDS,
    bodies::ROUTE,
    bodies::BODIES,
    messages::STORED,
    messages::TEXTS,
    proxy_header::PROXY_HEADER,
    connection::CONNECTION,
    calls::BODIES,
    calls::TEXTS,
    http2::CONNECTION,
    http1::CONNECTION,
    http_json::REQUESTS,
    http_json::DELIVERED,
    http_sdk::DOCUMENTS,
    http_sdk::TEXTS,
];

/// What an input has led to, as a number.
fn outcome(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Runs a connection in a time that passes only while nothing else happens.
fn in_paused_time(connection: impl Future<Output = u64>) -> u64 {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
    }
    RUNTIME.with(|runtime| LocalSet::new().block_on(runtime, connection))
}

fn no_seeds() -> Vec<Vec<u8>> {
    Vec::new()
}

fn number(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is no number")),
        Err(_) => Ok(default),
    }
}

fn main() -> ExitCode {
    if let Ok(name) = env::var(CHILD) {
        let target = TARGETS.iter().find(|target| target.name == name);
        return match target.context("no such target").and_then(child::run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::from(child::FAILED)
            }
        };
    }
    let trials = TARGETS.iter().map(|target| {
        Trial::test(target.name, || {
            in_a_process_of_its_own(target).map_err(|error| format!("{error:#}").into())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn in_a_process_of_its_own(target: &Target) -> Result<()> {
    let output = mortal(env::current_exe()?)
        .env(CHILD, target.name)
        .output()
        .context("cannot start the target's process")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors = errors.trim();
    if output.status.success() {
        if !errors.is_empty() {
            eprintln!("{errors}");
        }
        return Ok(());
    }
    // One that fails has seen to its input itself.
    ensure!(output.status.code().is_none(), "{errors}");
    let last = child::last_tried(target.name)?;
    bail!(
        "{errors}\nthe process ended with {} on this input:\n{}",
        output.status,
        corpus::keep(target.name, &last)?
    )
}
