//! Real clients of RocketMQ 5, which speak gRPC: each language, feature by feature, through Remora
//! and through two replicas of it; and, for comparison, through the Java proxy.

mod basics;
mod case;
mod clients;
mod failures;
mod filters;
mod lite;
mod order;
mod places;
mod timing;
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
use ways::{Kind, Way, Ways};

/// How many features are tried at the same time unless the command line says otherwise.
const PARALLEL: usize = 3;
/// How many lines of each log a failed run shows.
const LOG_LINES: usize = 20;

/// What is tried. Those that take longest come first.
const FEATURES: &[&[Feature]] = &[
    failures::FEATURES,
    transactions::FEATURES,
    timing::FEATURES,
    order::FEATURES,
    filters::FEATURES,
    places::FEATURES,
    lite::FEATURES,
    basics::FEATURES,
];

/// What a quick run tries, one of each kind: all takes five minutes.
const QUICK: &[&str] = &[
    "delay",
    "fifo_push",
    "lite_push",
    "namespaces",
    "push",
    "push_members",
    "push_retry",
    "push_sql_filter",
    "send_async",
    "simple_ack_after_change",
    "simple_change_invisible",
    "simple_tag_filter",
    "tls",
    "transaction_checked",
];

/// What brokers do not do by default: recall delayed messages, and keep lite topics.
const LAYOUT: &str = "recallMessageEnable=true\nenableLmq=true\nenableMultiDispatch=true\n";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(PARALLEL);
    match run(&arguments) {
        Ok(code) => code,
        Err(e) => {
            report(&format!("suite grpc_clients: {e:#}"));
            // What the runner itself returns for a failed test.
            ExitCode::from(101)
        }
    }
}

/// One feature of one client.
#[derive(Clone, Copy)]
struct Pair {
    client: &'static Client,
    feature: Feature,
}

impl Pair {
    fn name(&self) -> String {
        format!("{}::{}", self.client.name, self.feature.0)
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let chosen = env::var("REMORA_IT_CLIENTS").unwrap_or_else(|_| clients::QUICKLY.to_owned());
    let clients = clients::chosen(&chosen)?;
    let mut features = FEATURES.concat();
    if chosen == clients::QUICKLY {
        features.retain(|(name, _)| QUICK.contains(name));
    }
    let pairs = clients.iter().flat_map(|&client| {
        let has = features.iter().filter(|(name, _)| !client.lacks(name));
        has.map(move |&feature| Pair { client, feature })
    });
    let pairs: Vec<Pair> = pairs.collect();
    let selected = pairs
        .iter()
        .filter(|pair| is_selected(arguments, &pair.name()));
    let mut needed: Vec<&'static Client> = selected.map(|pair| pair.client).collect();
    needed.dedup_by_key(|client| client.name);
    if arguments.list || needed.is_empty() {
        let trials = pairs.iter();
        let trials = trials.map(|pair| Trial::test(pair.name(), || Ok(())));
        return Ok(libtest_mimic::run(arguments, trials.collect()).exit_code());
    }
    let suite = Arc::new(Suite::start(&needed, &ways::chosen(&chosen)?)?);
    let trials = pairs.iter().map(|&pair| {
        let suite = Arc::clone(&suite);
        Trial::test(pair.name(), move || {
            suite
                .attempt_all(&pair)
                .map_err(|e| Failed::from(format!("{e:#}")))
        })
    });
    let conclusion = libtest_mimic::run(arguments, trials.collect());
    let suite = Arc::into_inner(suite).context("a test still uses the environment")?;
    suite.finish(&features, conclusion.has_failed())?;
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
    fn start(clients: &[&'static Client], kinds: &[Kind]) -> Result<Self> {
        let programs = clients
            .iter()
            .map(|client| Ok((client.name, (client.build)().context(client.title)?)));
        let programs = programs.collect::<Result<_>>()?;
        let java = Java::build()?;
        let scratch = Scratch::create("grpc_clients")?;
        let layout = Layout {
            further: LAYOUT,
            ..Layout::default()
        };
        let cluster = Cluster::start_as(&java, scratch.path(), &BROKERS, layout)?;
        let ways = Ways::start(kinds, scratch.path(), &cluster)?;
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

    /// Tries a feature on all ways, one after the other. It must work on each, the Java proxy's
    /// excepted when others are tried, too: what fails there is for the table.
    fn attempt_all(&self, pair: &Pair) -> Result<()> {
        let mut cells = Vec::new();
        let mut failures = Vec::new();
        for way in self.ways.all() {
            let outcome = self.attempt(pair, way);
            let flaw = pair.client.flaw(pair.feature.0, way.kind);
            let cell = match (&outcome, flaw) {
                (Ok(()), None) => "works".to_owned(),
                (Err(e), Some(flaw)) if format!("{e:#}").contains(flaw.error) => {
                    format!("fails: {}", flaw.why)
                }
                (Ok(()), Some(_)) => "WORKS".to_owned(),
                (Err(_), _) => "FAILS".to_owned(),
            };
            let is_reference = way.kind == Kind::JavaProxy && self.ways.all().len() > 1;
            if cell.to_uppercase() == cell && !is_reference {
                let error = outcome.err().map(|e| format!("{e:#}"));
                let error = error.unwrap_or_else(|| "works, and was known not to".to_owned());
                failures.push(format!("{}: {error}", way.title));
            } else if let Err(e) = outcome {
                report(&format!("{}, {}: {e:#}", pair.name(), way.title));
            }
            cells.push(cell);
        }
        self.rows.lock().push(Row {
            client: pair.client.title.to_owned(),
            feature: pair.feature.0,
            cells,
        });
        ensure!(failures.is_empty(), "{}", failures.join("\n"));
        Ok(())
    }

    fn attempt(&self, pair: &Pair, way: &Way) -> Result<()> {
        let mut programs = self.programs.iter();
        let (_, program) = programs
            .find(|(name, _)| *name == pair.client.name)
            .context("the client was built")?;
        // A topic's name has no dots.
        let client = pair.client.name.replace('.', "_");
        let name = format!("{}-{client}-{}", pair.feature.0, way.name);
        let it = Scenario::with_program(&name, &self.environment, &**program, &way.target);
        let case = Case {
            it,
            kind: way.kind,
            has_push: !pair.client.lacks("push"),
            authority: self.ways.authority(),
        };
        (pair.feature.1)(&case)?;
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
