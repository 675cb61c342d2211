//! Runs a list of tests in one environment, with the interface and the output of Rust's own test
//! runner.

use std::{env, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::{
    java::Java,
    proxy_process::{Remora, remora_binary},
    rocketmq::{Cluster, Layout},
    scenario::{Environment, Scenario},
    workspace::Scratch,
};

/// A test.
pub type TestFn = fn(&Scenario<'_>) -> Result<()>;

/// How many lines of each log a failed run shows.
const LOG_LINES: usize = 40;

/// Tests that share a cluster and a proxy.
#[derive(Debug)]
pub struct Suite {
    /// The name of the suite.
    pub name: &'static str,
    /// The brokers of the cluster.
    pub brokers: &'static [&'static str],
    /// Versions of the Java client beside the newest.
    pub clients: &'static [&'static str],
    /// How many tests run at the same time; the command line may name another number.
    pub parallel: usize,
    /// Parts of the warnings that the proxy may log while these tests run.
    pub expected_warnings: &'static [&'static str],
    /// The names of tests in which the proxy does better than a client does directly; skipped when
    /// there is none.
    pub only_through_remora: Vec<&'static str>,
    /// The tests by name, in the order in which they start.
    pub tests: Vec<(&'static str, TestFn)>,
}

impl Suite {
    /// Runs the tests that the command line selects, and stops everything afterwards.
    #[must_use]
    pub fn run(self) -> ExitCode {
        self.run_on(Layout::default())
    }

    /// The same on a cluster that is not as usual.
    #[must_use]
    pub fn run_on(self, layout: Layout) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(self.parallel);
        if arguments.list
            || !self
                .tests
                .iter()
                .any(|(name, _)| is_selected(&arguments, name))
        {
            let trials = self
                .tests
                .iter()
                .map(|(name, _)| Trial::test(*name, || Ok(())))
                .collect();
            return libtest_mimic::run(&arguments, trials).exit_code();
        }
        match self.run_selected(&arguments, layout) {
            Ok(code) => code,
            Err(e) => {
                report(&format!("suite {}: {e:#}", self.name));
                // What the runner itself returns for a failed test.
                ExitCode::from(101)
            }
        }
    }

    fn run_selected(&self, arguments: &Arguments, layout: Layout) -> Result<ExitCode> {
        let environment = Arc::new(self.start(layout)?);
        let trials = self.tests.iter().map(|&(name, test)| {
            let environment = Arc::clone(&environment);
            let skip = environment.remora.is_none() && self.only_through_remora.contains(&name);
            Trial::test(name, move || run_test(name, test, &environment)).with_ignored_flag(skip)
        });
        let conclusion = libtest_mimic::run(arguments, trials.collect());
        let environment =
            Arc::into_inner(environment).context("a test still uses the environment")?;
        if conclusion.has_failed() {
            report(&last_log_lines(&environment));
            report(&format!(
                "all logs are in {}",
                environment.scratch.path().display()
            ));
            return Ok(conclusion.exit_code());
        }
        self.stop(environment)?;
        Ok(conclusion.exit_code())
    }

    fn start(&self, layout: Layout) -> Result<Environment> {
        let direct = match env::var("REMORA_IT_TARGET").as_deref() {
            Ok("direct") => true,
            Ok("remora") | Err(_) => false,
            Ok(other) => bail!(
                "REMORA_IT_TARGET is {other:?}; allowed are \"remora\" (the default) and \"direct\""
            ),
        };
        let binary = if direct { None } else { Some(remora_binary()?) };
        let java = Java::build_with(self.clients)?;
        let scratch = Scratch::create(self.name)?;
        let cluster = Cluster::start_as(&java, scratch.path(), self.brokers, layout)?;
        let remora = match binary {
            Some(binary) => {
                let remora = Remora::start(
                    &binary,
                    &scratch.path().join("remora"),
                    &cluster.target().name_server,
                )?;
                Some((binary, remora))
            }
            None => None,
        };
        Ok(Environment {
            java,
            scratch,
            cluster,
            remora,
        })
    }

    fn stop(&self, environment: Environment) -> Result<()> {
        let Environment {
            scratch,
            cluster,
            remora,
            ..
        } = environment;
        if let Some((_, remora)) = remora {
            remora.stop(self.expected_warnings)?;
        }
        cluster.stop()?;
        scratch.remove();
        Ok(())
    }
}

fn run_test(name: &'static str, test: TestFn, environment: &Environment) -> Result<(), Failed> {
    let scenario = Scenario::new(name, environment);
    test(&scenario)
        .and_then(|()| scenario.finish())
        .map_err(|e| Failed::from(format!("{e:#}")))
}

/// Whether the command line selects the test, by the rules of Rust's own test runner.
#[must_use]
pub fn is_selected(arguments: &Arguments, name: &str) -> bool {
    let matches = |pattern: &String| {
        if arguments.exact {
            name == pattern
        } else {
            name.contains(pattern.as_str())
        }
    };
    // None of our tests is marked as ignored.
    !arguments.ignored
        && arguments.filter.as_ref().is_none_or(matches)
        && !arguments.skip.iter().any(matches)
}

fn last_log_lines(environment: &Environment) -> String {
    let remora = environment
        .remora
        .as_ref()
        .map(|(_, remora)| remora.last_log_lines(LOG_LINES));
    environment.cluster.last_log_lines(LOG_LINES) + &remora.unwrap_or_default()
}

/// Prints a line for the caller of the test program.
#[allow(
    clippy::print_stderr,
    reason = "a test program writes to the terminal that started it"
)]
pub fn report(text: &str) {
    eprintln!("{text}");
}
