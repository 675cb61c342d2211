//! One way to build or run Remora beside another: how what was tried is judged.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use integration_tests::process::{Process, mortal};
use integration_tests::proxy_process::{Remora, remora_binary};

use super::{Options, through};
use crate::relay::Runtimes;
use crate::report::Section;
use crate::rounds::{Measured, Metric, Plan};
use crate::shape::{Shape, Work};
use crate::sink::broker_name;
use crate::stack::{Sinks, Target};
use crate::tables::{ratios, table};

/// Threads of the relay.
const THREADS: usize = 2;

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let sinks = Sinks::start(dir, 1)?;
    let mut binaries = vec![("as it is".to_owned(), remora_binary()?)];
    for variant in &options.variants {
        let (name, path) = variant.split_once('=').context("a variant is NAME=FILE")?;
        binaries.push((name.to_owned(), PathBuf::from(path)));
    }
    let remoras = binaries
        .iter()
        .zip(0..)
        .map(|((_, path), nth)| {
            let dir = dir.join(format!("remora-{nth}"));
            Remora::start(path, &dir, &sinks.name_server().to_string())
        })
        .collect::<Result<Vec<_>>>()?;
    let targets = binaries
        .iter()
        .zip(&remoras)
        .map(|((name, _), remora)| Target {
            name: name.clone().leak(),
            ..through(remora)
        });
    let of_remora = measure(options, &sinks, targets.collect())?;
    let relays = Runtimes::value_variants()
        .iter()
        .map(|runtimes| Relay::start(*runtimes, &sinks, dir))
        .collect::<Result<Vec<_>>>()?;
    let of_relays = measure(options, &sinks, relays.iter().map(Relay::target).collect())?;
    for remora in remoras {
        remora.stop(&[""])?;
    }
    Section {
        part: "variants",
        title: "Variants".to_owned(),
        peers: Vec::new(),
        method: options.method("ratios within a round to the first of a table, their medians, quartiles in brackets."),
        body: format!(
            "{}\nA relay of 200 lines that only replaces opaques (`src/relay.rs`), with a runtime on each core, and with one \
             runtime of two threads:\n\n{}",
            text(&of_remora),
            text(&of_relays)
        ),
    }
    .publish(&options.results)
}

fn measure(options: &Options, sinks: &Sinks, targets: Vec<Target>) -> Result<Vec<Measured>> {
    let plan = Plan {
        targets,
        broker: sinks.pid(),
        broker_address: None,
        brokers: vec![broker_name(0)],
        shapes: options.chosen(shapes()),
        rounds: options.rounds,
        timing: options.timing(),
    };
    plan.warm_up(Duration::from_millis(options.warm_up / 4))?;
    plan.measure()
}

/// A lone request, a few clients, many, many requests at a time, large bodies, and answers that are
/// longer than requests.
fn shapes() -> Vec<Shape> {
    let sends = [
        (1, 1, 128),
        (16, 1, 128),
        (64, 1, 128),
        (16, 32, 128),
        (16, 1, 256 * 1024),
    ];
    sends
        .map(|(connections, outstanding, body)| {
            Shape::new(Work::Send(body), connections, outstanding)
        })
        .into_iter()
        .chain([Shape::new(Work::Pull, 16, 4)])
        .collect()
}

fn text(measured: &[Measured]) -> String {
    [
        ("CPU time per request", Metric::ProxyCpu),
        ("requests per second", Metric::Rate),
    ]
    .map(|(title, metric)| {
        let (heads, rows) = ratios(measured, metric);
        let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
        format!("{title}:\n\n{}\n", table(&heads, &rows))
    })
    .concat()
}

/// A running relay; it is killed when dropped.
struct Relay {
    name: &'static str,
    process: Process,
    address: SocketAddr,
}

impl Relay {
    fn start(runtimes: Runtimes, sinks: &Sinks, dir: &Path) -> Result<Self> {
        let name = match runtimes {
            Runtimes::PerCore => "a runtime on each core",
            Runtimes::Shared => "one runtime for all",
        };
        let broker = sinks.brokers().first().context("a sink")?;
        let mut command = mortal(std::env::current_exe()?);
        let value = runtimes.to_possible_value().context("a name")?;
        command.args(["relay-process", "--runtimes", value.get_name()]);
        command.args(["--relay-to", &broker.to_string()]);
        let log = dir.join(format!("relay-{}.log", value.get_name()));
        let (process, _, stdout) = Process::spawn_piped("relay", &mut command, &log)?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self {
            name,
            process,
            address: line.trim().parse()?,
        })
    }

    fn target(&self) -> Target {
        Target::new(self.name, vec![self.address], Some(self.process.pid()))
    }
}

/// The process of a relay.
pub(super) fn relay(options: &Options) -> Result<()> {
    let broker = options.relay_to.context("--relay-to is missing")?;
    let runtimes = options.runtimes.context("--runtimes is missing")?;
    crate::relay::run(runtimes, THREADS, broker)
}
