//! Resident memory.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::fleet::{Fleet, GROUPS};
use super::{Options, start_remora, through};
use crate::checks::{Bound, Outcome};
use crate::load::{Timing, Watched, run as run_load};
use crate::procfs::{descriptors, resident};
use crate::report::Section;
use crate::shape::{Shape, Work};
use crate::sink::broker_name;
use crate::stack::Sinks;
use crate::tables;

/// How long a process gets to become quiet.
const QUIET: Duration = Duration::from_secs(3);

/// How long memory may take to come back after a load.
const AFTER: Duration = Duration::from_secs(10);

/// How often memory is looked at under load.
const LOOK: Duration = Duration::from_millis(20);

/// Clients that start at the same time: it is not their start that is measured here.
const AT_ONCE: usize = 32;

/// Clients that come and go, or pull, before memory is looked at as it was before a load: the pages
/// of the code that serves them stay, however many there were.
const WARM_UP: usize = 64;

/// Clients that read nothing, and how many answers each asks for.
const DEAF: usize = 32;
const ASKED: usize = 1000;

/// What one of them may have Remora hold: `limits.client_buffer_bytes`, and one frame, which may
/// have 16 MiB.
const HELD_MAX_KB: f64 = 1024.0 + 16.0 * 1024.0;

/// How long such a client tries to get its questions out.
const WRITE_TIME: Duration = Duration::from_millis(200);

/// How long pulls run at full speed.
const PULLING: Duration = Duration::from_secs(10);

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let sinks = Sinks::start(dir, 1)?;
    let mut outcomes = idle_clients(options, &dir.join("idle"), &sinks)?;
    outcomes.extend(pulling(options, &dir.join("pulls"), &sinks)?);
    outcomes.push(not_reading(&dir.join("deaf"), &sinks)?);
    Section {
        part: "memory",
        title: "Resident memory".to_owned(),
        peers: Vec::new(),
        method: format!(
            "{} clients in {GROUPS} groups, each with a lane to one sink broker; then 64 connections that pull 12 KB \
             for {} s; then {DEAF} that ask for {ASKED} such answers each and read none. Memory before is measured after \
             {WARM_UP} clients have connected and left, or pulled for a moment; memory afterwards is measured for {} s.",
            options.clients,
            PULLING.as_secs(),
            AFTER.as_secs()
        ),
        body: tables::outcomes(&outcomes),
    }
    .publish(&options.results)
}

fn idle_clients(options: &Options, dir: &Path, sinks: &Sinks) -> Result<Vec<Outcome>> {
    let remora = start_remora(dir, sinks.name_server())?;
    let pid = remora.process().pid();
    thread::sleep(QUIET);
    let started = resident(pid)?;
    let address = *remora.target().allowed.first().context("it listens")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let lanes = descriptors(sinks.pid())?;
    let (before, held) = LocalSet::new().block_on(&runtime, async {
        drop(Fleet::start(address, WARM_UP, AT_ONCE).await?);
        tokio::time::sleep(QUIET).await;
        let before = resident(pid)?;
        let fleet = Fleet::start(address, options.clients, AT_ONCE).await?;
        ensure!(
            fleet.refused == 0,
            "a client could not start: {}",
            fleet.refusal
        );
        tokio::time::sleep(QUIET).await;
        let held = resident(pid)?;
        let lanes = descriptors(sinks.pid())?.saturating_sub(lanes);
        ensure!(
            lanes >= options.clients,
            "{} clients have only {lanes} lanes",
            options.clients
        );
        drop(fleet);
        anyhow::Ok((before, held))
    })?;
    drop(runtime);
    let after = least_after(pid)?;
    let left = descriptors(pid)?;
    ensure!(
        left < options.clients / 10 + 100,
        "{left} descriptors are left when all clients have disconnected"
    );
    remora.stop(&[""])?;
    let each = held.saturating_sub(before) as f64 / options.clients as f64 / 1024.0;
    Ok(vec![
        Outcome::single(
            "after start",
            "MB",
            started as f64 / 1e6,
            Bound::AtMost(20.0),
        ),
        Outcome::single("idle clients", "KB for each", each, Bound::AtMost(12.0)),
        back("after idle clients", before, after),
    ])
}

fn pulling(options: &Options, dir: &Path, sinks: &Sinks) -> Result<Vec<Outcome>> {
    let remora = start_remora(dir, sinks.name_server())?;
    let pid = remora.process().pid();
    let watched = Watched {
        proxy: Some(pid),
        broker: sinks.pid(),
    };
    let load = Shape::new(Work::Pull, WARM_UP, 1).load(&through(&remora), &[broker_name(0)]);
    run_load(&load, options.timing(), watched)?;
    thread::sleep(QUIET);
    let before = resident(pid)?;
    let timing = Timing {
        measure: PULLING,
        ..options.timing()
    };
    let (running, most) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicU64>::default());
    let watcher = {
        let (running, most) = (running.clone(), most.clone());
        thread::spawn(move || {
            while running.load(Ordering::Relaxed) {
                most.fetch_max(resident(pid).unwrap_or_default(), Ordering::Relaxed);
                thread::sleep(LOOK);
            }
        })
    };
    let loaded = run_load(&load, timing, watched);
    running.store(false, Ordering::Relaxed);
    // It cannot fail, and if it did, the figure would be missing.
    let _ = watcher.join();
    let most = most.load(Ordering::Relaxed) as f64 / 1e6;
    let rate = loaded?.bodies;
    let after = least_after(pid)?;
    remora.stop(&[""])?;
    let what = format!("most MB, at {rate:.0} MB/s");
    Ok(vec![
        Outcome::single("pull 64×1", &what, most, Bound::AtMost(60.0)),
        back("after pulls", before, after),
    ])
}

/// What is held for clients that ask and do not read.
fn not_reading(dir: &Path, sinks: &Sinks) -> Result<Outcome> {
    let remora = start_remora(dir, sinks.name_server())?;
    let pid = remora.process().pid();
    let target = through(&remora);
    let watched = Watched {
        proxy: Some(pid),
        broker: sinks.pid(),
    };
    let load = Shape::new(Work::Pull, WARM_UP, 1).load(&target, &[broker_name(0)]);
    let timing = Timing {
        warm_up: QUIET / 10,
        measure: QUIET / 10,
        threads: 1,
    };
    run_load(&load, timing, watched)?;
    thread::sleep(QUIET);
    let before = resident(pid)?;
    let requests = load.requests.first().context("a list of requests")?;
    let asked = requests.iter().cycle().take(ASKED);
    let asked: Vec<u8> = asked.flat_map(|request| request.to_bytes()).collect();
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        let mut client = TcpStream::connect(target.addresses.first().context("it listens")?)?;
        client.set_write_timeout(Some(WRITE_TIME))?;
        // It is not read any more, some time: then the rest stays here.
        let _ = client.write_all(&asked);
        deaf.push(client);
    }
    thread::sleep(QUIET);
    let held = resident(pid)?.saturating_sub(before) as f64 / DEAF as f64 / 1024.0;
    drop(deaf);
    remora.stop(&[""])?;
    let bound = Bound::AtMost(HELD_MAX_KB);
    Ok(Outcome::single(
        "clients that do not read",
        "KB for each",
        held,
        bound,
    ))
}

/// The least memory that a process has in the time after a load.
fn least_after(pid: u32) -> Result<u64> {
    let mut least = u64::MAX;
    for _ in 0..AFTER.as_secs() {
        thread::sleep(Duration::from_secs(1));
        least = least.min(resident(pid)?);
    }
    Ok(least)
}

fn back(when: &str, before: u64, after: u64) -> Outcome {
    let what = format!("memory / {:.1} MB before", before as f64 / 1e6);
    Outcome::single(
        when,
        &what,
        after as f64 / before as f64,
        Bound::AtMost(1.2),
    )
}
