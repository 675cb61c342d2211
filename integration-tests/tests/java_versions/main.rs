//! Every generation of the official Java client: each feature directly and through Remora, and the two compared.

#[path = "../java_client/consume.rs"]
mod consume;
#[path = "../java_client/offsets.rs"]
mod offsets;
#[path = "../java_client/produce.rs"]
mod produce;
#[path = "../java_client/requests.rs"]
mod requests;
mod table;
#[path = "../java_client/transactions.rs"]
mod transactions;

use std::{env, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, anyhow, bail, ensure};
use integration_tests::{
    java::Java,
    ports::free_port,
    proxy_process::{Remora, remora_binary},
    rocketmq::Cluster,
    scenario::{Environment, Scenario},
    suite::TestFn,
    target::Target,
    workspace::Scratch,
};
use libtest_mimic::{Arguments, Failed, Trial};
use parking_lot::Mutex;
use table::{Row, Table};

/// Every version that is tested. Those before 4.9.5 and 5.1 do not say which broker a request is for.
const ALL: &[&str] = &["4.5.2", "4.9.3", "4.9.8", "5.0.0", "5.3.3", "5.5.0"];
/// Those of a quick run.
const QUICK: &[&str] = &["4.9.3", "5.5.0"];
const BROKERS: [&str; 2] = ["broker-a", "broker-b"];
/// How many features are tried at the same time unless the command line says otherwise.
const PARALLEL: usize = 3;

/// What is compared. The names are those of the tests of the newest client.
const FEATURES: &[&str] = &[
    "transaction_is_checked",
    "transaction_ends_at_once",
    "push_dead_letter",
    "push_retry",
    "lite_pull_assign_seek_commit",
    "push_concurrent_resumes",
    "push_orderly",
    "push_orderly_retry",
    "push_broadcasting",
    "push_tag_filter",
    "push_sql_filter",
    "send_sync",
    "send_async",
    "send_oneway",
    "send_batch",
    "send_with_queue_selector",
    "send_compressed",
    "request_and_reply",
];

/// Features that a version lacks.
const LACKS: &[(&str, &[&str])] = &[(
    "4.5.2",
    &["lite_pull_assign_seek_commit", "request_and_reply"],
)];

/// Features in which a version goes past any proxy: it sends a failed message back to the address that is in it.
const PAST_PROXIES: &[(&str, &[&str])] = &[("5.0.0", &["push_retry", "push_dead_letter"])];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(PARALLEL);
    match run(&arguments) {
        Ok(code) => code,
        Err(e) => {
            table::print(&format!("suite java_versions: {e:#}"));
            // What the runner itself returns for a failed test.
            ExitCode::from(101)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let versions = versions()?;
    let pairs: Vec<(&'static str, &'static str, TestFn)> = versions
        .iter()
        .flat_map(|version| FEATURES.iter().map(move |feature| (*version, *feature)))
        .filter(|(version, feature)| !listed(LACKS, version, feature))
        .map(|(version, feature)| Ok((version, feature, test(feature)?)))
        .collect::<Result<_>>()?;
    if arguments.list {
        let trials = pairs.iter();
        let trials = trials.map(|(version, feature, _)| nothing(version, feature));
        return Ok(libtest_mimic::run(arguments, trials.collect()).exit_code());
    }
    let environment = Arc::new(start(&versions)?);
    let table = Arc::new(Mutex::new(Table::default()));
    let trials = pairs.iter().map(|&(version, feature, test)| {
        let (environment, table) = (Arc::clone(&environment), Arc::clone(&table));
        Trial::test(name(version, feature), move || {
            let row = compare(&environment, version, feature, test);
            let verdict = row.judge();
            table.lock().add(row);
            verdict.map_err(|e| Failed::from(format!("{e:#}")))
        })
    });
    let conclusion = libtest_mimic::run(arguments, trials.collect());
    table::print(&table.lock().render(&versions, FEATURES));
    let environment = Arc::into_inner(environment).context("a test still uses the environment")?;
    if conclusion.has_failed() {
        let logs = environment.scratch.path().display();
        table::print(&format!("all logs are in {logs}"));
        return Ok(conclusion.exit_code());
    }
    if let Some((_, remora)) = environment.remora {
        remora.stop(&[])?;
    }
    environment.cluster.stop()?;
    environment.scratch.remove();
    Ok(conclusion.exit_code())
}

/// Versions by `REMORA_IT_CLIENTS`: `quick` (the default), `all`, or some of all with commas between.
fn versions() -> Result<Vec<&'static str>> {
    let chosen = env::var("REMORA_IT_CLIENTS").unwrap_or_else(|_| "quick".to_owned());
    match chosen.as_str() {
        "quick" => Ok(QUICK.to_vec()),
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

fn test(feature: &str) -> Result<TestFn> {
    let all = [
        produce::TESTS,
        consume::TESTS,
        offsets::TESTS,
        transactions::TESTS,
        requests::TESTS,
    ];
    let found = all.iter().flat_map(|tests| tests.iter());
    let mut found = found.filter(|(name, _)| *name == feature);
    let (_, test) = found
        .next()
        .with_context(|| format!("no test is called {feature}"))?;
    Ok(*test)
}

fn listed(list: &[(&str, &[&str])], version: &str, feature: &str) -> bool {
    list.iter()
        .any(|(of, features)| *of == version && features.contains(&feature))
}

fn name(version: &str, feature: &str) -> String {
    format!("java-{version}::{feature}")
}

fn nothing(version: &str, feature: &str) -> Trial {
    Trial::test(name(version, feature), || Ok(()))
}

fn start(versions: &[&str]) -> Result<Environment> {
    if env::var_os("REMORA_IT_TARGET").is_some() {
        bail!("REMORA_IT_TARGET means nothing here: every feature is tried in both ways");
    }
    let binary = remora_binary()?;
    let java = Java::build_with(versions)?;
    let scratch = Scratch::create("java_versions")?;
    let cluster = Cluster::start(&java, scratch.path(), &BROKERS)?;
    let listeners = BROKERS
        .iter()
        .map(|broker| Ok((*broker, free_port()?)))
        .collect::<Result<Vec<_>>>()?;
    let remora = Remora::start_with_broker_listeners(
        &binary,
        &scratch.path().join("remora"),
        &cluster.target().name_server,
        &listeners,
    )?;
    Ok(Environment {
        java,
        scratch,
        cluster,
        remora: Some((binary, remora)),
    })
}

/// Tries a feature in both ways, one after the other.
fn compare(
    environment: &Environment,
    version: &'static str,
    feature: &'static str,
    test: TestFn,
) -> Row {
    let direct = environment.cluster.target();
    let proxied = match &environment.remora {
        Some((_, remora)) => remora.target().clone(),
        None => direct.clone(),
    };
    let past_proxies = listed(PAST_PROXIES, version, feature);
    let proxied = Target {
        allowed: if past_proxies {
            [proxied.allowed, direct.allowed.clone()].concat()
        } else {
            proxied.allowed
        },
        ..proxied
    };
    let attempt = |way: &str, target: &Target| -> Result<()> {
        // A topic's name has no dots.
        let name = format!("{feature}-{}-{way}", version.replace('.', "_"));
        let scenario = Scenario::with_client(&name, environment, version, target);
        test(&scenario)?;
        scenario.finish()
    };
    Row {
        version,
        feature,
        // Not what is tested: where it fails once, a busy machine may be to blame.
        direct: attempt("direct", direct).or_else(|_| attempt("direct-again", direct)),
        proxied: attempt("remora", &proxied),
        past_proxies,
    }
}

impl Row {
    /// Whether both ways did what the feature is to do.
    fn judge(&self) -> Result<()> {
        match (&self.direct, &self.proxied) {
            (Ok(()), Ok(())) => Ok(()),
            (Ok(()), Err(e)) => Err(anyhow!("through Remora, and not directly: {e:#}")),
            (Err(e), proxied) => {
                ensure!(proxied.is_err(), "directly, and not through Remora: {e:#}");
                Err(anyhow!("directly and through Remora: {e:#}"))
            }
        }
    }
}
