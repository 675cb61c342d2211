//! Runs features of one client directly and through Remora at the same time, and compares what came
//! out.
//!
//! That comparison is the test: a feature passes when what was sent, received and returned is the
//! same on all ways. Where the client itself fails when connected directly, the feature says so,
//! and the run proves it.

mod features;
mod judge;
mod run;

use std::{fmt, path::Path, process::ExitCode, sync::Arc, thread};

use anyhow::{Context, Result, anyhow};
use libtest_mimic::{Arguments, Failed, Trial};
use parking_lot::Mutex;

use crate::{
    java::Java,
    program::Program,
    proxy_process::remora_binary,
    rocketmq::Cluster,
    suite::{is_selected, report},
    table::{self, Row},
    ways::{Way, Ways},
    workspace::Scratch,
};

pub use features::{OFFSET_COMMIT_WAIT, SHARED, send_in_mode, send_orderly};
pub use run::{ClientBuilder, Run};

/// What a feature does on one of the ways.
pub type FeatureFn = fn(&Run<'_>) -> Result<()>;

/// The brokers of the cluster.
pub const BROKERS: [&str; 2] = ["broker-a", "broker-b"];
/// How many lines of each log a failed run shows.
const LOG_LINES: usize = 20;

/// Something that a client can do.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Does it.
    pub test: FeatureFn,
    /// Why it does not work, where that is known.
    pub flaw: Option<Flaw>,
    /// Whether the client connects to a broker's own address for it, past its name server and any
    /// proxy. It is then tried from a network namespace in which that address leads nowhere.
    pub past_proxies: bool,
}

/// A reason of the client's own for which a feature does not work. The run proves it.
#[derive(Clone, Copy, Debug)]
pub struct Flaw {
    /// Whether it works directly all the same.
    works_directly: bool,
    /// The text of the error.
    error: &'static str,
    /// The reason, for the table.
    why: &'static str,
}

impl Feature {
    /// A feature that works.
    #[must_use]
    pub const fn new(name: &'static str, test: FeatureFn) -> Self {
        Self {
            name,
            test,
            flaw: None,
            past_proxies: false,
        }
    }

    /// A feature that does not work even directly.
    #[must_use]
    pub const fn broken(
        name: &'static str,
        test: FeatureFn,
        error: &'static str,
        why: &'static str,
    ) -> Self {
        let flaw = Some(Flaw {
            works_directly: false,
            error,
            why,
        });
        Self {
            flaw,
            ..Self::new(name, test)
        }
    }

    /// A feature for which the client connects past any proxy, and which fails where it cannot.
    #[must_use]
    pub const fn needs_brokers(
        name: &'static str,
        test: FeatureFn,
        error: &'static str,
        why: &'static str,
    ) -> Self {
        let flaw = Some(Flaw {
            works_directly: true,
            error,
            why,
        });
        Self {
            flaw,
            past_proxies: true,
            ..Self::new(name, test)
        }
    }
}

/// The features of one client.
#[derive(Debug)]
pub struct Comparison<P> {
    /// The name of the suite.
    pub name: &'static str,
    /// The client and its version, for the table.
    pub client: &'static str,
    /// How many features are tried at the same time; the command line may name another number.
    pub parallel: usize,
    /// Makes the client's program ready to start.
    pub program: fn() -> Result<P>,
    /// The features, in the order in which they start.
    pub features: Vec<Feature>,
}

/// Everything that runs while a comparison does.
#[derive(Debug)]
struct Environment<P> {
    program: P,
    scratch: Scratch,
    cluster: Cluster,
    ways: Ways,
    /// Those of features that lead past proxies.
    hidden: Option<Ways>,
    rows: Mutex<Vec<Row>>,
}

impl<P: Program + fmt::Debug + Send + 'static> Comparison<P> {
    /// Runs the features that the command line selects, prints the table, and stops everything
    /// afterwards.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(self.parallel);
        let selected = |feature: &Feature| is_selected(&arguments, feature.name);
        if arguments.list || !self.features.iter().any(selected) {
            let trials = self.features.iter();
            let trials = trials.map(|feature| Trial::test(feature.name, || Ok(())));
            return libtest_mimic::run(&arguments, trials.collect()).exit_code();
        }
        match self.run_selected(&arguments) {
            Ok(code) => code,
            Err(e) => {
                report(&format!("suite {}: {e:#}", self.name));
                // What the runner itself returns for a failed test.
                ExitCode::from(101)
            }
        }
    }

    fn run_selected(&self, arguments: &Arguments) -> Result<ExitCode> {
        let selected = |feature: &&Feature| is_selected(arguments, feature.name);
        let mut selected = self.features.iter().filter(selected);
        let environment = Arc::new(self.start(selected.any(|feature| feature.past_proxies))?);
        let trials = self.features.iter().map(|&feature| {
            let environment = Arc::clone(&environment);
            let client = self.client;
            Trial::test(feature.name, move || {
                environment
                    .compare(client, feature)
                    .map_err(|e| Failed::from(format!("{e:#}")))
            })
        });
        let conclusion = libtest_mimic::run(arguments, trials.collect());
        let environment =
            Arc::into_inner(environment).context("a test still uses the environment")?;
        let order: Vec<&str> = self.features.iter().map(|feature| feature.name).collect();
        let ways = environment.ways.all().iter().map(|way| way.title);
        let rows = environment.rows.into_inner();
        report(&table::render(&ways.collect::<Vec<_>>(), &order, &rows));
        if conclusion.has_failed() {
            report(&environment.cluster.last_log_lines(LOG_LINES));
            report(&environment.ways.last_log_lines(LOG_LINES));
            let logs = environment.scratch.path().display();
            report(&format!("all logs are in {logs}"));
            return Ok(conclusion.exit_code());
        }
        if let Some(hidden) = environment.hidden {
            hidden.stop()?;
        }
        environment.ways.stop()?;
        environment.cluster.stop()?;
        environment.scratch.remove();
        Ok(conclusion.exit_code())
    }

    fn start(&self, hidden: bool) -> Result<Environment<P>> {
        let binary = remora_binary()?;
        let program = (self.program)()?;
        let java = Java::build()?;
        let scratch = Scratch::create(self.name)?;
        let cluster = Cluster::start(&java, scratch.path(), &BROKERS)?;
        let ways = Ways::start(&binary, scratch.path(), &cluster)?;
        let dir = scratch.path().join("hidden");
        let hidden = hidden.then(|| Ways::start_hidden(&binary, &dir, &cluster));
        Ok(Environment {
            program,
            scratch,
            cluster,
            ways,
            hidden: hidden.transpose()?,
            rows: Mutex::default(),
        })
    }
}

impl<P: Program> Environment<P> {
    /// Tries a feature on all ways at the same time and compares.
    fn compare(&self, client: &str, feature: Feature) -> Result<()> {
        let ways = match &self.hidden {
            Some(hidden) if feature.past_proxies => hidden,
            _ => &self.ways,
        };
        let ways = ways.all();
        let outcomes: Vec<_> = thread::scope(|scope| {
            let attempts: Vec<_> = ways
                .iter()
                .map(|way| scope.spawn(|| self.attempt(feature, way)))
                .collect();
            attempts
                .into_iter()
                .map(|attempt| {
                    attempt
                        .join()
                        .unwrap_or_else(|_| Err(anyhow!("it panicked")))
                })
                .collect()
        });
        self.rows.lock().push(Row {
            client: client.to_owned(),
            feature: feature.name,
            cells: judge::cells(feature, &outcomes),
        });
        judge::judge(feature, ways, outcomes)
    }

    fn attempt(&self, feature: Feature, way: &Way) -> Result<Vec<String>> {
        let dir = self.scratch.path().join(feature.name).join(way.name);
        let run = Run::new(feature.name, way, &self.cluster, &self.program, &dir);
        (feature.test)(&run).and_then(|()| run.finish())
    }
}

/// A folder below `dir` that is there.
fn folder(dir: &Path, name: &str) -> Result<std::path::PathBuf> {
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
