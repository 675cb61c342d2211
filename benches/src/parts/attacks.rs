//! Clients that misbehave, and what well-behaved ones notice of them, through HAProxy and through
//! Remora.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use super::{Options, start_remora, through};
use crate::checks::{Bound, Outcome};
use crate::load::{Sample, Watched, run as run_load};
use crate::procfs::resident;
use crate::report::Section;
use crate::requests::pull;
use crate::shape::{PULL_TOPIC, Shape, Work};
use crate::sink::broker_name;
use crate::stack::{Haproxy, Sinks, Target, haproxy_version};
use crate::stats::Spread;
use crate::tables;

/// Clients that send a byte a second.
const DRIPPING: usize = 5000;

/// Clients that send requests and never read, and how many each sends.
const DEAF: usize = 64;
const ASKED: usize = 500;

/// Clients that fall silent in the middle of a frame.
const HALF_OPEN: usize = 1000;

/// Connections that send garbage as fast as they can, again and again.
const GARBAGE: usize = 4;

/// How long an attack lasts before well-behaved clients are measured.
const SETTLE: Duration = Duration::from_secs(2);

/// The memory that Remora may use: `limits.memory_bytes`, and 60 MB for itself.
const MEMORY_MB: f64 = 256.0 * 1.048_576 + 60.0;

#[derive(Clone, Copy, Debug)]
enum Attack {
    None,
    Dripping,
    Deaf,
    HalfOpen,
    Garbage,
}

impl Attack {
    const ALL: [Self; 5] = [
        Self::None,
        Self::Dripping,
        Self::Deaf,
        Self::HalfOpen,
        Self::Garbage,
    ];

    fn name(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Dripping => format!("{DRIPPING} send a byte a second"),
            Self::Deaf => format!("{DEAF} ask {ASKED} times and never read"),
            Self::HalfOpen => format!("{HALF_OPEN} fall silent within a frame"),
            Self::Garbage => format!("{GARBAGE} send garbage at full speed"),
        }
    }

    /// One attacking client, until its connection ends.
    async fn run(self, address: SocketAddr, frame: Arc<[u8]>) {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            return;
        };
        match self {
            Self::None => {}
            Self::Dripping => {
                for byte in frame.iter() {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Self::Deaf => {
                for _ in 0..ASKED {
                    if stream.write_all(&frame).await.is_err() {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            }
            Self::HalfOpen => {
                let half = frame.get(..frame.len() / 2).unwrap_or_default();
                let _ = stream.write_all(half).await;
                std::future::pending::<()>().await;
            }
            Self::Garbage => {
                let garbage = vec![0xA5; 64 * 1024];
                let mut sink = [0; 1024];
                let (mut reading, mut writing) = stream.split();
                loop {
                    tokio::select! {
                        written = writing.write_all(&garbage) => if written.is_err() { break },
                        read = reading.read(&mut sink) => if !matches!(read, Ok(1..)) { break },
                    }
                }
            }
        }
    }

    fn peers(self) -> usize {
        match self {
            Self::None => 0,
            Self::Dripping => DRIPPING,
            Self::Deaf => DEAF,
            Self::HalfOpen => HALF_OPEN,
            Self::Garbage => GARBAGE,
        }
    }
}

/// An attack in progress.
struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Running {
    fn start(attack: Attack, address: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let queue = 0;
        let kind = remoting_codec::SerializeType::Json;
        let frame = pull(&broker_name(0), PULL_TOPIC, queue, "benchmark", kind).to_bytes();
        let frame: Arc<[u8]> = frame.to_vec().into();
        let thread = thread::Builder::new()
            .name("attack".to_owned())
            .spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                LocalSet::new().block_on(&runtime, async {
                    let mut peers = JoinSet::new();
                    for _ in 0..attack.peers() {
                        peers.spawn_local(attack.run(address, frame.clone()));
                    }
                    while !stopped.load(Ordering::Relaxed) {
                        tokio::select! {
                            // A client whose connection was closed reconnects, not faster than a
                            // real one could.
                            Some(_) = peers.join_next() => {
                                sleep(Duration::from_micros(200)).await;
                                peers.spawn_local(attack.run(address, frame.clone()));
                            }
                            () = sleep(Duration::from_millis(20)) => {}
                        }
                    }
                });
                Ok(())
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // If it failed, the figures show that.
            let _ = thread.join();
        }
    }
}

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let sinks = Sinks::start(dir, 1)?;
    let haproxy = Haproxy::start(&dir.join("haproxy"), sinks.brokers())?;
    let remora = start_remora(dir, sinks.name_server())?;
    let targets = [haproxy.target(), through(&remora)];
    let mut rows = Vec::new();
    let mut outcomes = Vec::new();
    for attack in Attack::ALL {
        let mut samples: [Vec<Sample>; 2] = Default::default();
        let mut most = 0;
        for round in 0..options.rounds {
            for nth in [round % 2, (round + 1) % 2] {
                let (Some(target), Some(samples)) = (targets.get(nth), samples.get_mut(nth)) else {
                    continue;
                };
                samples.push(under(attack, target, sinks.pid(), options)?);
                most = most.max(resident(remora.process().pid())?);
            }
        }
        let [theirs, ours] = &samples;
        let ratios = ours
            .iter()
            .zip(theirs)
            .map(|(our, their)| our.p99 / their.p99);
        let figure = Spread::of(ratios).context("a round")?;
        outcomes.push(Outcome {
            shape: attack.name(),
            what: "p99 of others, Remora / HAProxy".to_owned(),
            figure,
            bound: Bound::AtMost(1.25),
        });
        let memory = most as f64 / 1e6;
        let bound = Bound::AtMost(MEMORY_MB);
        outcomes.push(Outcome::single(
            &attack.name(),
            "MB that Remora holds",
            memory,
            bound,
        ));
        let shown = |samples: &[Sample], of: fn(&Sample) -> f64| {
            Spread::of(samples.iter().map(of)).map_or("–".to_owned(), |spread| spread.to_string())
        };
        rows.push(vec![
            attack.name(),
            shown(theirs, |sample| sample.p99),
            shown(ours, |sample| sample.p99),
            shown(theirs, |sample| sample.rate),
            shown(ours, |sample| sample.rate),
        ]);
    }
    remora.stop(&["cannot be read"])?;
    let heads = [
        "attack",
        "p99, µs, HAProxy",
        "Remora",
        "requests/s, HAProxy",
        "Remora",
    ];
    Section {
        part: "attacks",
        title: "The effect of attacks on other clients".to_owned(),
        peers: vec![format!("HAProxy {} (TCP, two threads)", haproxy_version()?)],
        method: options.method(
            "16 connections that send 128 bytes and wait, on one sink, during each attack.",
        ),
        body: format!(
            "{}\n{}",
            tables::outcomes(&outcomes),
            tables::table(&heads, &rows)
        ),
    }
    .publish(&options.results)
}

/// What well-behaved clients get while an attack is in progress.
fn under(attack: Attack, target: &Target, broker: u32, options: &Options) -> Result<Sample> {
    let address = *target.addresses.first().context("it listens")?;
    let running = Running::start(attack, address)?;
    thread::sleep(SETTLE);
    let watched = Watched {
        proxy: target.proxy,
        broker,
    };
    let load = Shape::new(Work::Send(128), 16, 1).load(target, &[broker_name(0)]);
    let sample = run_load(&load, options.timing(), watched)
        .with_context(|| format!("{attack:?} on {}", target.name));
    drop(running);
    sample
}
