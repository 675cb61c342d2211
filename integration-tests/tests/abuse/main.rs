//! Attacks: one client, a slow network or an odd request, and what healthy clients notice of it.
//!
//! A quick run has the attacks that prove most; `REMORA_IT_ABUSE=all` has every code and every
//! limit by itself, and real brokers (`make test-abuse`). Each attack has a proxy and a fake
//! cluster of its own, one after the other, because load is judged. The run ends with a table,
//! which is in Cargo's target folder, too.

mod codes;
mod connects;
mod grpc;
mod headers;
mod http;
mod limits;
mod lookups;
mod members;
mod memory;
mod polls;
mod process;
mod real;
mod sharing;
mod tls;
mod unanswered;
mod workers;

use std::{env, fs, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Result;
use integration_tests::{
    abuse::{Attack, Ground, Outcome, Results, World, attempt, verdict},
    proxy_process::remora_binary,
    suite::{is_selected, report},
    workspace::Scratch,
};
use libtest_mimic::{Arguments, Failed, Trial};

/// Runs an attack and returns its outcome.
type Test = Box<dyn Fn(&Abuse, &str) -> Result<Outcome> + Send>;

/// What all attacks share.
struct Abuse {
    binary: PathBuf,
    scratch: Scratch,
    results: Results,
}

impl Abuse {
    /// A proxy with further lines of configuration, for the attack of that name.
    fn world(&self, name: &str, further: &str) -> Result<World> {
        World::start(&self.binary, &self.scratch.path().join(name), further)
    }

    /// Keeps what a try of the test has left, with a number.
    fn put_aside(&self, name: &str, nth: usize) -> Result<()> {
        let dir = self.scratch.path().join(name);
        if dir.exists() {
            fs::rename(&dir, dir.with_extension(format!("try-{nth}")))?;
        }
        Ok(())
    }

    /// The usual attack: on a proxy as it is by default.
    fn judge<F>(
        &self,
        attack: &Attack,
        run: impl FnOnce(Ground) -> F + Send + 'static,
    ) -> Result<Outcome>
    where
        F: Future<Output = Result<()>>,
    {
        self.world(&attack.name, "")?.judge(attack, run)
    }
}

fn test(
    name: impl Into<String>,
    run: impl Fn(&Abuse, &str) -> Result<Outcome> + Send + 'static,
) -> (String, Test) {
    (name.into(), Box::new(run))
}

fn main() -> ExitCode {
    let mut tests: Vec<(String, Test)> = Vec::new();
    tests.extend(headers::quick());
    tests.extend(polls::quick());
    tests.extend(memory::quick());
    tests.extend(unanswered::quick());
    tests.extend(members::quick());
    tests.extend(lookups::quick());
    tests.extend(process::quick());
    tests.extend(sharing::quick());
    tests.extend(limits::quick());
    tests.extend(tls::quick());
    tests.extend(grpc::quick());
    tests.extend(http::quick());
    tests.extend(connects::quick());
    let is_whole = env::var("REMORA_IT_ABUSE").as_deref() == Ok("all");
    if is_whole {
        tests.extend(polls::all());
        tests.extend(memory::all());
        tests.extend(unanswered::all());
        tests.extend(process::all());
        tests.extend(limits::all());
        tests.extend(tls::all());
        tests.extend(grpc::all());
        tests.extend(http::all());
        tests.extend(connects::all());
        tests.extend(workers::all());
        tests.extend(real::all());
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    if arguments.list || !tests.iter().any(|(name, _)| is_selected(&arguments, name)) {
        let trials = tests
            .into_iter()
            .map(|(name, _)| Trial::test(name, || Ok(())));
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    }
    match run(&arguments, tests) {
        Ok(code) => code,
        Err(e) => {
            report(&format!("suite abuse: {e:#}"));
            ExitCode::from(101)
        }
    }
}

fn run(arguments: &Arguments, tests: Vec<(String, Test)>) -> Result<ExitCode> {
    let abuse = Arc::new(Abuse {
        binary: remora_binary()?,
        scratch: Scratch::create("abuse")?,
        results: Results::default(),
    });
    let trials = tests.into_iter().map(|(name, test)| {
        let abuse = Arc::clone(&abuse);
        Trial::test(name.clone(), move || {
            let judged = attempt(|nth| {
                if nth > 1 {
                    abuse.put_aside(&name, nth - 1)?;
                }
                test(&abuse, &name)
            });
            let judged = judged.and_then(|outcome| {
                abuse.results.add(outcome.clone());
                verdict(&outcome)
            });
            judged.map_err(|e| Failed::from(format!("{e:#}")))
        })
    });
    let conclusion = libtest_mimic::run(arguments, trials.collect());
    report(&abuse.results.render());
    let file = abuse.results.write("abuse")?;
    report(&format!("the table is in {}", file.display()));
    if !conclusion.has_failed()
        && let Some(abuse) = Arc::into_inner(abuse)
    {
        abuse.scratch.remove();
    }
    Ok(conclusion.exit_code())
}
