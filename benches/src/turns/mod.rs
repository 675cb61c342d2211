//! The most expensive turns that a peer can cause, in instructions.
//!
//! Nothing may run on a worker for longer than 5 ms without giving way: everything else on it waits
//! for it. A clock proves nothing on a busy machine, so the instructions of each turn are counted:
//! 5 ms at 3 instructions a nanosecond are 15 million. The whole proxy runs under callgrind, which
//! ends a count whenever the runtime polls a task: the work between two polls is one turn, with all
//! that the runtime does for it. Fake clients and servers outside of it send the expensive input.

mod callgrind;
mod inputs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use integration_tests::abuse::{Line, World};
use integration_tests::workspace::Scratch;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep};

use self::callgrind::Counted;
use self::inputs::{Input, inputs};

/// 5 ms at 3 instructions a nanosecond.
const LIMIT: u64 = 15_000_000;

/// How long an answer may take: the proxy is some fifty times slower than it is.
const PATIENCE: Duration = Duration::from_secs(60);

/// The broker's name.
const BROKER: &str = "broker-a";

/// Runs all whose name contains `part`, and writes a line for each. True when none has a turn that
/// is too expensive. What callgrind has written of the last one's longest turn is kept as `keep`.
///
/// # Errors
/// When one of them cannot be run.
#[allow(clippy::print_stdout, reason = "that is what it is run for")]
pub fn run(remora: &Path, part: &str, keep: Option<PathBuf>) -> Result<bool> {
    let scratch = Scratch::create("turns")?;
    let dir = scratch.path();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let (name_server, broker) = runtime.block_on(inputs::upstream(BROKER))?;
    let wrapper = callgrind::wrapper(dir, remora)?;
    let world = World::start_before(
        &wrapper,
        &dir.join("remora"),
        "workers = 1\n[limits]\nheader_bytes = 262144\n",
        "",
        name_server.address(),
        broker.address(),
    )?;
    let counted = Counted::new(dir, world.remora().process().pid(), keep)?;
    let mut is_within = true;
    for input in inputs(BROKER)
        .into_iter()
        .filter(|one| one.name.contains(part))
    {
        let all = LocalSet::new();
        let proxy = world.ground().proxy;
        let begun = Instant::now();
        counted.forget()?;
        let answers = all.block_on(&runtime, give(proxy, &input));
        let answers = answers.with_context(|| input.name)?;
        let turns = counted.turns()?;
        let most = turns.iter().max().copied().unwrap_or_default();
        let mut verdict = String::new();
        if most > LIMIT {
            is_within = false;
            verdict = format!(": more than {LIMIT}");
        }
        println!(
            "{}: {most} instructions in the longest of {} turns, {answers} answers, {:.1} s{verdict}",
            input.name,
            turns.len(),
            begun.elapsed().as_secs_f64()
        );
    }
    drop(world);
    scratch.remove();
    Ok(is_within)
}

/// Sends an input and takes its answers; how many there were before the connection was closed or
/// nothing more was due.
async fn give(proxy: std::net::SocketAddr, input: &Input) -> Result<usize> {
    let mut line = Line::open(proxy).await?;
    for frame in &input.before {
        line.write(frame).await?;
        line.receive().await?;
    }
    // It may be closed before all of it is written.
    let _ = line.write(&input.bytes).await;
    let (mut answers, begun) = (0, Instant::now());
    while answers < input.answers {
        match line.receive().await {
            Ok(_) => answers += 1,
            // It stops to wait sooner than we do.
            Err(error) if error.is::<Elapsed>() && begun.elapsed() < PATIENCE => {}
            Err(_) => break,
        }
    }
    drop(line);
    sleep(input.settle).await;
    Ok(answers)
}
