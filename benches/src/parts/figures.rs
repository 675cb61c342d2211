//! What the figures of `/metrics` cost: Remora beside a build that counts nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::proxy_process::{Remora, remora_binary};

use super::{Options, through};
use crate::checks::{Bound, Outcome};
use crate::report::Section;
use crate::rounds::{Metric, Plan};
use crate::shape::{Shape, Work};
use crate::sink::broker_name;
use crate::stack::{Sinks, Target};
use crate::tables;

const COUNTED: &str = "Remora";
const UNCOUNTED: &str = "without metrics";

/// What they may cost of a request's CPU time.
const MOST: f64 = 1.03;

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let uncounted = build()?;
    let sinks = Sinks::start(dir, 1)?;
    let start = |binary: &Path, name: &'static str| -> Result<(Remora, Target)> {
        let name_server = sinks.name_server().to_string();
        let remora = Remora::start(binary, &dir.join(name), &name_server)?;
        let target = Target {
            name,
            ..through(&remora)
        };
        Ok((remora, target))
    };
    let (counted, with) = start(&remora_binary()?, COUNTED)?;
    let (bare, without) = start(&uncounted, UNCOUNTED)?;
    let plan = Plan {
        targets: vec![with, without],
        broker: sinks.pid(),
        broker_address: None,
        brokers: vec![broker_name(0)],
        shapes: options.chosen(shapes()),
        rounds: options.rounds,
        timing: options.timing(),
    };
    plan.warm_up(Duration::from_millis(options.warm_up / 2))?;
    let measured = plan.measure()?;
    counted.stop(&[""])?;
    bare.stop(&[""])?;
    let outcomes: Vec<_> = measured
        .iter()
        .filter_map(|one| {
            Some(Outcome {
                shape: one.shape.name(),
                what: "CPU, with metrics / without".to_owned(),
                figure: one.ratio(COUNTED, UNCOUNTED, Metric::ProxyCpu)?,
                bound: Bound::AtMost(MOST),
            })
        })
        .collect();
    Section {
        part: "figures",
        title: "The cost of metrics".to_owned(),
        peers: Vec::new(),
        method: options.method(
            "one sink; the other build counts nothing and does not read the clock for it (`--cfg uncounted`). Medians of the ratio within a round, quartiles in brackets.",
        ),
        body: format!(
            "{}\nCPU time of the proxy per request, µs:\n\n{}",
            tables::outcomes(&outcomes),
            tables::figures(&measured, Metric::ProxyCpu)
        ),
    }
    .publish(&options.results)
}

fn shapes() -> Vec<Shape> {
    [(16, 1), (64, 1), (16, 32)]
        .map(|(connections, outstanding)| Shape::new(Work::Send(128), connections, outstanding))
        .into_iter()
        .chain([Shape::new(Work::Pull, 16, 4)])
        .collect()
}

fn build() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/build-uncounted.sh");
    let output = Command::new(&script).output().context("the build")?;
    ensure!(
        output.status.success(),
        "{}: {}",
        script.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().into())
}
