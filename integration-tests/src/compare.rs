//! Runs features of one client directly and through Remora at the same time, and compares what came out.
//!
//! That comparison is the test: a feature passes when what was sent, received and told is the same on both ways. Where
//! the client itself fails when connected directly, the feature says so, and the run proves it.

mod features;
mod run;
mod table;

use std::{collections::BTreeMap, fmt, path::Path, process::ExitCode, sync::Arc, thread};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use parking_lot::Mutex;

use crate::{
    java::Java,
    ports::free_port,
    proxy_process::{Remora, remora_binary},
    rocketmq::Cluster,
    suite::{is_selected, report},
    target::Target,
    workspace::Scratch,
};

pub use features::{SHARED, send_in_mode, send_orderly, wait_tries};
pub use run::{ClientBuilder, Program, Run};

/// What a feature does on one of the ways.
pub type FeatureFn = fn(&Run<'_>) -> Result<()>;

/// The brokers of the cluster.
const BROKERS: [&str; 2] = ["broker-a", "broker-b"];
/// What the check of a client's connections says of one that leads past the target.
const STRAYED: &str = "; allowed: [";
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
}

/// A reason of the client's own for which a feature does not work. The run proves it.
#[derive(Clone, Copy, Debug)]
pub struct Flaw {
    /// Whether it works directly all the same.
    works_directly: bool,
    /// What the error says.
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
        Self { name, test, flaw }
    }

    /// A feature for which the client goes to a broker's own address, past its name server and any proxy.
    #[must_use]
    pub const fn past_the_proxy(name: &'static str, test: FeatureFn, why: &'static str) -> Self {
        let flaw = Some(Flaw {
            works_directly: true,
            error: STRAYED,
            why,
        });
        Self { name, test, flaw }
    }
}

/// The features of one client.
#[derive(Debug)]
pub struct Comparison<P> {
    /// The name of the suite.
    pub name: &'static str,
    /// The client and its version, for the table.
    pub client: &'static str,
    /// How many features are tried at the same time unless the command line says otherwise.
    pub parallel: usize,
    /// Makes the client's program ready to start.
    pub program: fn() -> Result<P>,
    /// The features, in the order in which they start.
    pub features: Vec<Feature>,
}

/// One of the two ways from a client to the brokers.
#[derive(Debug)]
struct Way {
    name: &'static str,
    target: Target,
}

/// Everything that runs while a comparison does.
#[derive(Debug)]
struct Environment<P> {
    program: P,
    scratch: Scratch,
    cluster: Cluster,
    remora: Remora,
    ways: [Way; 2],
    rows: Mutex<BTreeMap<&'static str, [String; 2]>>,
}

impl<P: Program + fmt::Debug + Send + 'static> Comparison<P> {
    /// Runs the features that the command line selects, prints the table, and stops everything afterwards.
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
        let environment = Arc::new(self.start()?);
        let trials = self.features.iter().map(|&feature| {
            let environment = Arc::clone(&environment);
            Trial::test(feature.name, move || {
                environment
                    .compare(feature)
                    .map_err(|e| Failed::from(format!("{e:#}")))
            })
        });
        let conclusion = libtest_mimic::run(arguments, trials.collect());
        let environment =
            Arc::into_inner(environment).context("a test still uses the environment")?;
        let order: Vec<&str> = self.features.iter().map(|feature| feature.name).collect();
        let rows = environment.rows.into_inner();
        report(&table::render(self.client, &order, &rows));
        if conclusion.has_failed() {
            report(&environment.cluster.last_log_lines(LOG_LINES));
            report(&environment.remora.last_log_lines(LOG_LINES));
            let logs = environment.scratch.path().display();
            report(&format!("all logs are in {logs}"));
            return Ok(conclusion.exit_code());
        }
        environment.remora.stop(&[])?;
        environment.cluster.stop()?;
        environment.scratch.remove();
        Ok(conclusion.exit_code())
    }

    fn start(&self) -> Result<Environment<P>> {
        let binary = remora_binary()?;
        let program = (self.program)()?;
        let java = Java::build()?;
        let scratch = Scratch::create(self.name)?;
        let cluster = Cluster::start(&java, scratch.path(), &BROKERS)?;
        let listeners: Vec<(&str, u16)> = BROKERS
            .into_iter()
            .map(|broker| Ok((broker, free_port()?)))
            .collect::<Result<_>>()?;
        let remora = Remora::start_with_broker_listeners(
            &binary,
            &scratch.path().join("remora"),
            &cluster.target().name_server,
            &listeners,
        )?;
        let ways = [
            Way {
                name: "direct",
                target: cluster.target().clone(),
            },
            Way {
                name: "remora",
                target: remora.target().clone(),
            },
        ];
        Ok(Environment {
            program,
            scratch,
            cluster,
            remora,
            ways,
            rows: Mutex::default(),
        })
    }
}

impl<P: Program> Environment<P> {
    /// Tries a feature on both ways at the same time and compares.
    fn compare(&self, feature: Feature) -> Result<()> {
        let [direct, proxied] = &self.ways;
        let (direct, proxied) = thread::scope(|scope| {
            let direct = scope.spawn(|| self.attempt(feature, direct));
            let proxied = self.attempt(feature, proxied);
            let direct = direct
                .join()
                .unwrap_or_else(|_| Err(anyhow!("the direct run panicked")));
            (direct, proxied)
        });
        let row = table::row(&direct, &proxied, feature.flaw);
        self.rows.lock().insert(feature.name, row);
        judge(feature, direct, proxied)
    }

    fn attempt(&self, feature: Feature, way: &Way) -> Result<Vec<String>> {
        let dir = self.scratch.path().join(feature.name).join(way.name);
        let run = Run::new(feature.name, way, &self.cluster, &self.program, &dir);
        (feature.test)(&run).and_then(|()| run.finish())
    }
}

/// Compares the facts of both ways.
fn judge(
    feature: Feature,
    direct: Result<Vec<String>>,
    proxied: Result<Vec<String>>,
) -> Result<()> {
    let as_known = |e: &Error, flaw: Flaw| -> Result<()> {
        let text = format!("{e:#}");
        ensure!(text.contains(flaw.error), "not the known failure: {text}");
        Ok(())
    };
    let direct = match (direct, feature.flaw) {
        // Through Remora it may fail as well, or even work.
        (Err(e), Some(flaw)) if !flaw.works_directly => return as_known(&e, flaw),
        (Ok(_), Some(flaw)) if !flaw.works_directly => {
            bail!("works directly, though this was known: {}", flaw.why)
        }
        (Ok(facts), _) => facts,
        (Err(e), _) => {
            let proxied = proxied.err().map(|e| format!("; through Remora: {e:#}"));
            return Err(e.context(format!("directly{}", proxied.unwrap_or_default())));
        }
    };
    let proxied = match (proxied, feature.flaw) {
        (Err(e), Some(flaw)) => return as_known(&e, flaw),
        (Ok(_), Some(flaw)) => bail!("works, though this was known: {}", flaw.why),
        (proxied, None) => proxied.context("through Remora, and not directly")?,
    };
    ensure!(
        !direct.is_empty(),
        "the feature has told nothing to compare"
    );
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        let mut rest = those.to_vec();
        let mut differ = these.to_vec();
        differ.retain(|fact| match rest.iter().position(|other| other == fact) {
            Some(at) => {
                rest.swap_remove(at);
                false
            }
            None => true,
        });
        differ
    };
    ensure!(
        direct == proxied,
        "the results differ.\nonly directly: {:#?}\nonly through Remora: {:#?}",
        only(&direct, &proxied),
        only(&proxied, &direct)
    );
    Ok(())
}

/// A folder below `dir` that is there.
fn folder(dir: &Path, name: &str) -> Result<std::path::PathBuf> {
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(of: &[&str]) -> Result<Vec<String>> {
        Ok(of.iter().map(|fact| (*fact).to_owned()).collect())
    }

    #[test]
    fn what_differs_or_fails_through_remora_only_is_noticed() {
        let works = Feature::new("works", |_| Ok(()));
        assert!(judge(works, facts(&["a", "b"]), facts(&["a", "b"])).is_ok());
        assert!(judge(works, facts(&["a", "b"]), facts(&["a"])).is_err());
        assert!(judge(works, facts(&["a"]), facts(&["a", "a"])).is_err());
        assert!(judge(works, facts(&["a"]), Err(anyhow!("lost"))).is_err());
        assert!(judge(works, Err(anyhow!("lost")), facts(&["a"])).is_err());
        assert!(judge(works, facts(&[]), facts(&[])).is_err());
    }

    #[test]
    fn what_a_client_cannot_do_must_fail_as_known() {
        let broken = Feature::broken("broken", |_| Ok(()), "not possible", "so it is");
        let fails = || Err(anyhow!("that is not possible"));
        assert!(judge(broken, fails(), fails()).is_ok());
        assert!(judge(broken, fails(), facts(&["a"])).is_ok());
        assert!(judge(broken, facts(&["a"]), fails()).is_err());
        assert!(judge(broken, Err(anyhow!("other")), fails()).is_err());

        let strays = Feature::past_the_proxy("strays", |_| Ok(()), "so it is");
        let strayed = || Err(anyhow!("connected to [a]; allowed: [b]"));
        assert!(judge(strays, facts(&["a"]), strayed()).is_ok());
        assert!(judge(strays, facts(&["a"]), fails()).is_err());
        assert!(judge(strays, facts(&["a"]), facts(&["a"])).is_err());
        assert!(judge(strays, strayed(), strayed()).is_err());
    }
}
