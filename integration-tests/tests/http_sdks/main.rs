//! The existing SDKs of MQ HTTP: each language, feature by feature, through Remora and through two
//! replicas of it.

mod basics;
mod case;
mod clients;
mod order;
mod refused;
mod transactions;
mod ways;

use std::{env, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    compare::BROKERS,
    java::Java,
    program::Program,
    rocketmq::{Cluster, Layout},
    scenario::{Environment, Scenario},
    suite::{is_selected, report},
    table::{self, Row},
    workspace::Scratch,
};
use libtest_mimic::{Arguments, Failed, Trial};
use parking_lot::Mutex;

use case::{Case, Feature};
use clients::Client;
use ways::{Way, Ways};

/// How many features are tried at the same time unless the command line says otherwise.
const PARALLEL: usize = 4;
/// How many lines of each log a failed run shows.
const LOG_LINES: usize = 20;

/// What is tried. Those that take longest come first.
const FEATURES: &[&[Feature]] = &[
    transactions::FEATURES,
    order::FEATURES,
    refused::FEATURES,
    basics::FEATURES,
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(PARALLEL);
    match run(&arguments) {
        Ok(code) => code,
        Err(e) => {
            report(&format!("suite http_sdks: {e:#}"));
            // What the runner itself returns for a failed test.
            ExitCode::from(101)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let chosen = env::var("REMORA_IT_CLIENTS").unwrap_or_else(|_| clients::QUICKLY.to_owned());
    let clients = clients::chosen(&chosen)?;
    let features = FEATURES.concat();
    let names = |client: &Client| {
        let name = client.name;
        let names = features.iter().map(move |(of, _)| format!("{name}::{of}"));
        names.collect::<Vec<String>>()
    };
    let is_needed = |client: &&'static Client| {
        let mut names = names(client).into_iter();
        names.any(|name| is_selected(arguments, &name))
    };
    let needed: Vec<&'static Client> = clients.iter().copied().filter(is_needed).collect();
    let suite = match arguments.list || needed.is_empty() {
        true => None,
        false => Some(Arc::new(Suite::start(&needed)?)),
    };
    let trials = clients.iter().flat_map(|&client| {
        let suite = suite.clone();
        names(client)
            .into_iter()
            .zip(&features)
            .map(move |(name, &feature)| {
                let suite = suite.clone();
                Trial::test(name, move || {
                    let tried = suite.map_or(Ok(()), |suite| suite.attempt_all(client, feature));
                    tried.map_err(|e| Failed::from(format!("{e:#}")))
                })
            })
    });
    let conclusion = libtest_mimic::run(arguments, trials.collect());
    if let Some(suite) = suite {
        let suite = Arc::into_inner(suite).context("a test still uses the environment")?;
        suite.finish(&features, conclusion.has_failed())?;
    }
    Ok(conclusion.exit_code())
}

/// Everything that runs while features are tried.
struct Suite {
    environment: Environment,
    programs: Vec<(&'static str, Box<dyn Program + Send>)>,
    ways: Ways,
    rows: Mutex<Vec<Row>>,
}

impl Suite {
    fn start(clients: &[&'static Client]) -> Result<Self> {
        let programs = clients
            .iter()
            .map(|client| Ok((client.name, (client.build)().context(client.title)?)));
        let programs = programs.collect::<Result<_>>()?;
        let java = Java::build()?;
        let scratch = Scratch::create("http_sdks")?;
        let cluster = Cluster::start_as(&java, scratch.path(), &BROKERS, Layout::default())?;
        let ways = Ways::start(scratch.path(), &cluster)?;
        Ok(Self {
            environment: Environment {
                java,
                scratch,
                cluster,
                remora: None,
            },
            programs,
            ways,
            rows: Mutex::default(),
        })
    }

    /// Tries a feature on all ways, one after the other. It must work on each.
    fn attempt_all(&self, client: &Client, feature: Feature) -> Result<()> {
        let mut cells = Vec::new();
        let mut failures = Vec::new();
        for way in self.ways.all() {
            let outcome = self.attempt(client, feature, way);
            let cell = if outcome.is_ok() { "works" } else { "FAILS" };
            cells.push(cell.to_owned());
            if let Err(e) = outcome {
                failures.push(format!("{}: {e:#}", way.title));
            }
        }
        self.rows.lock().push(Row {
            client: client.title.to_owned(),
            feature: feature.0,
            cells,
        });
        ensure!(failures.is_empty(), "{}", failures.join("\n"));
        Ok(())
    }

    fn attempt(&self, client: &Client, (feature, run): Feature, way: &Way) -> Result<()> {
        let mut programs = self.programs.iter();
        let (_, program) = programs
            .find(|(name, _)| *name == client.name)
            .context("the client was built")?;
        let name = format!("{feature}-{}-{}", client.name, way.name);
        let it = Scenario::with_program(&name, &self.environment, &**program, &way.target);
        let case = Case { it };
        run(&case)?;
        case.it.finish()
    }

    /// Prints the table and stops everything, or shows the logs.
    fn finish(self, features: &[Feature], failed: bool) -> Result<()> {
        let titles: Vec<&str> = self.ways.all().iter().map(|way| way.title).collect();
        let order: Vec<&str> = features.iter().map(|(name, _)| *name).collect();
        report(&table::render(&titles, &order, &self.rows.into_inner()));
        let Environment {
            scratch, cluster, ..
        } = self.environment;
        if failed {
            report(&cluster.last_log_lines(LOG_LINES));
            report(&self.ways.last_log_lines(LOG_LINES));
            report(&format!("all logs are in {}", scratch.path().display()));
            return Ok(());
        }
        self.ways.stop()?;
        cluster.stop()?;
        scratch.remove();
        Ok(())
    }
}
