//! Every generation of the official Java client: each feature through Remora and directly, and the
//! two compared; in a quick run, directly only where it fails through Remora.

mod consume;
mod offsets;
mod pop;
mod produce;
mod raw_pop;
mod requests;
mod trace;
mod transactions;

use std::{env, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, bail, ensure};
use integration_tests::{
    compare::BROKERS,
    java::Java,
    proxy_process::remora_binary,
    rocketmq::Cluster,
    scenario::{Environment, Scenario},
    suite::{TestFn, is_selected, report},
    table::{self, Row},
    ways::{Way, Ways},
    workspace::Scratch,
};
use libtest_mimic::{Arguments, Failed, Trial};
use parking_lot::Mutex;

/// Every version that is tested. Those before 4.9.5 and 5.1 do not name the broker of a request.
const ALL: &[&str] = &["4.5.2", "4.9.3", "4.9.8", "5.0.0", "5.3.3", "5.5.0"];
/// Those of a quick run.
const QUICK: &[&str] = &["4.9.3", "5.5.0"];
/// What chooses a quick run.
const QUICKLY: &str = "quick";
/// How many features are tried at the same time; the command line may name another number.
const PARALLEL: usize = 3;

/// How many lines of each log a failed run shows.
const LOG_LINES: usize = 20;

/// What is compared. Those that take longest come first.
const FEATURES: &[&[(&str, TestFn)]] = &[
    transactions::TESTS,
    offsets::TESTS,
    consume::TESTS,
    pop::TESTS,
    raw_pop::TESTS,
    trace::TESTS,
    produce::TESTS,
    requests::TESTS,
];

/// Features that versions lack, by the start of their names.
const LACKS: &[(&str, &[&str])] = &[
    (
        "4.5.2",
        &[
            "lite_pull_assign_seek_commit",
            "lite_pull_subscribe_resumes",
            "request_and_reply",
            "pop_retry",
            "pop_members",
            "raw_pop",
        ],
    ),
    ("4.9.3", &["pop_retry", "pop_members", "raw_pop"]),
    ("4.9.8", &["pop_retry", "pop_members", "raw_pop"]),
    // It has the methods, in packages of their own; its push consumers use them.
    ("5.0.0", &["raw_pop"]),
];

/// Features in which a version connects past any proxy: it sends a failed message back to the
/// address that is in it. They are tried where that address leads nowhere, and must end well all
/// the same.
const PAST_PROXIES: &[(&str, &[&str])] = &[("5.0.0", &["push_retry", "push_dead_letter"])];

/// Features in which a version fails on every way, the direct one first, and their error: brokers
/// of 5.5.0 never deliver again what has failed at a consumer of 5.0.0 in POP mode.
const BROKEN: &[(&str, &[&str])] = &[("5.0.0", &["pop_retry"])];
const BROKEN_ERROR: &str = "in vain for every message to be retried";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(PARALLEL);
    match run(&arguments) {
        Ok(code) => code,
        Err(e) => {
            report(&format!("suite java_versions: {e:#}"));
            // What the runner itself returns for a failed test.
            ExitCode::from(101)
        }
    }
}

/// One feature of one version.
#[derive(Clone, Copy)]
struct Pair {
    version: &'static str,
    feature: &'static str,
    test: TestFn,
}

impl Pair {
    fn name(&self) -> String {
        format!("java-{}::{}", self.version, self.feature)
    }

    fn listed(&self, list: &[(&str, &[&str])]) -> bool {
        list.iter().any(|(of, features)| {
            *of == self.version && features.iter().any(|begin| self.feature.starts_with(begin))
        })
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let versions = versions()?;
    let features = FEATURES.concat();
    let pairs: Vec<Pair> = versions
        .iter()
        .flat_map(|version| {
            features.iter().map(|(feature, test)| Pair {
                version,
                feature,
                test: *test,
            })
        })
        .filter(|pair| !pair.listed(LACKS))
        .collect();
    let selected = |pair: &&Pair| is_selected(arguments, &pair.name());
    let selected: Vec<&Pair> = pairs.iter().filter(selected).collect();
    if arguments.list || selected.is_empty() {
        let trials = pairs.iter();
        let trials = trials.map(|pair| Trial::test(pair.name(), || Ok(())));
        return Ok(libtest_mimic::run(arguments, trials.collect()).exit_code());
    }
    let hidden = selected.iter().any(|pair| pair.listed(PAST_PROXIES));
    let suite = Arc::new(Suite::start(&versions, hidden)?);
    let trials = pairs.iter().map(|&pair| {
        let suite = Arc::clone(&suite);
        Trial::test(pair.name(), move || {
            suite
                .compare(&pair)
                .map_err(|e| Failed::from(format!("{e:#}")))
        })
    });
    let conclusion = libtest_mimic::run(arguments, trials.collect());
    let suite = Arc::into_inner(suite).context("a test still uses the environment")?;
    suite.finish(&features, conclusion.has_failed())?;
    Ok(conclusion.exit_code())
}

fn chosen() -> String {
    env::var("REMORA_IT_CLIENTS").unwrap_or_else(|_| QUICKLY.to_owned())
}

/// Whether features are tried directly only where they fail through Remora.
fn is_quick() -> bool {
    chosen() == QUICKLY
}

/// Versions by `REMORA_IT_CLIENTS`: `quick` (the default), `all`, or some of all with commas
/// between.
fn versions() -> Result<Vec<&'static str>> {
    match chosen().as_str() {
        QUICKLY => Ok(QUICK.to_vec()),
        "all" => Ok(ALL.to_vec()),
        some => some
            .split(',')
            .map(|wanted| {
                let known = ALL.iter().find(|version| **version == wanted);
                known.copied().with_context(|| {
                    format!("REMORA_IT_CLIENTS has {wanted:?}; allowed: quick, all, {ALL:?}")
                })
            })
            .collect(),
    }
}

/// Everything that runs while features are compared.
struct Suite {
    is_quick: bool,
    environment: Environment,
    ways: Ways,
    /// Those of features that lead past proxies.
    hidden: Option<Ways>,
    rows: Mutex<Vec<Row>>,
}

impl Suite {
    fn start(versions: &[&str], hidden: bool) -> Result<Self> {
        if env::var_os("REMORA_IT_TARGET").is_some() {
            bail!("REMORA_IT_TARGET means nothing here: every feature is tried in all ways");
        }
        let binary = remora_binary()?;
        let java = Java::build_with(versions)?;
        let scratch = Scratch::create("java_versions")?;
        let cluster = Cluster::start(&java, scratch.path(), &BROKERS)?;
        let ways = Ways::start(&binary, scratch.path(), &cluster)?;
        let dir = scratch.path().join("hidden");
        let hidden = hidden.then(|| Ways::start_hidden(&binary, &dir, &cluster));
        Ok(Self {
            is_quick: is_quick(),
            hidden: hidden.transpose()?,
            ways,
            environment: Environment {
                java,
                scratch,
                cluster,
                remora: None,
            },
            rows: Mutex::default(),
        })
    }

    /// Tries a feature on all ways, one after the other, each once. In a quick run, directly only
    /// if it fails otherwise, which shows whether the client or Remora is at fault.
    fn compare(&self, pair: &Pair) -> Result<()> {
        let past_proxies = pair.listed(PAST_PROXIES);
        let ways = match &self.hidden {
            Some(hidden) if past_proxies => hidden,
            _ => &self.ways,
        };
        let (direct, through) = ways.all().split_first().context("there are ways")?;
        let mut outcomes: Vec<(&Way, Result<()>)> = through
            .iter()
            .map(|way| (way, self.attempt(pair, way)))
            .collect();
        if !self.is_quick || outcomes.iter().any(|(_, outcome)| outcome.is_err()) {
            outcomes.insert(0, (direct, self.attempt(pair, direct)));
        }
        let cells = ways.all().iter().map(|way| {
            let mut outcomes = outcomes.iter();
            let Some((_, outcome)) = outcomes.find(|(of, _)| of.name == way.name) else {
                return "not tried".to_owned();
            };
            let note = if past_proxies && way.name != direct.name {
                ", brokers out of reach"
            } else {
                ""
            };
            let works = match outcome {
                Ok(()) => "works",
                Err(_) if pair.listed(BROKEN) => "fails as directly",
                Err(_) => "FAILS",
            };
            format!("{works}{note}")
        });
        self.rows.lock().push(Row {
            client: format!("Java {}", pair.version),
            feature: pair.feature,
            cells: cells.collect(),
        });
        if pair.listed(BROKEN) {
            return judge_broken(outcomes);
        }
        judge(outcomes)
    }

    fn attempt(&self, pair: &Pair, way: &Way) -> Result<()> {
        // A topic's name has no dots.
        let version = pair.version.replace('.', "_");
        let name = format!("{}-{version}-{}", pair.feature, way.name);
        let scenario = Scenario::with_client(&name, &self.environment, pair.version, &way.target);
        (pair.test)(&scenario)?;
        scenario.finish()
    }

    /// Prints the table and stops everything, or shows the logs.
    fn finish(self, features: &[(&str, TestFn)], failed: bool) -> Result<()> {
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
        if let Some(hidden) = self.hidden {
            hidden.stop()?;
        }
        self.ways.stop()?;
        cluster.stop()?;
        scratch.remove();
        Ok(())
    }
}

/// Whether what the client cannot do fails directly as it is known to.
fn judge_broken(outcomes: Vec<(&Way, Result<()>)>) -> Result<()> {
    for (_, outcome) in outcomes {
        let error = outcome.err().context("works, and was known not to")?;
        ensure!(format!("{error:#}").contains(BROKEN_ERROR), error);
    }
    Ok(())
}

/// Whether the feature worked on every way.
fn judge(outcomes: Vec<(&Way, Result<()>)>) -> Result<()> {
    let failures: Vec<String> = outcomes
        .into_iter()
        .filter_map(|(way, outcome)| Some(format!("{}: {:#}", way.title, outcome.err()?)))
        .collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}
