//! A proxy between a fake cluster and its attackers, and the judge of what healthy clients notice.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::setpriority_process;
use tokio::{runtime::Builder, task::LocalSet, time::Instant};

use super::{
    attacker::Ground,
    figures::{Figures, admin_get, peak_memory},
    healthy::{Addresses, Healthy},
    judge::{Attack, OK_PERCENT, judge_healthy, wait_calm},
    measure::Kind,
    results::Outcome,
    upstream::{Seen, Upstream},
};
use crate::{ports::free_port, proxy_process::Remora, target::Target};

/// What may be resident: the default of `limits.memory_bytes`.
pub const LIMIT_BYTES: u64 = 268_435_456;

/// Whether the proxy has that key. It is set only to show the limit that is meant; the value is the
/// default.
const HAS_MEMORY_KEY: bool = true;

/// Of a thread, as `nice` counts.
const LOWEST_PRIORITY: i32 = 19;

/// What is under way as an attack ends is answered by then, or has failed.
const SETTLE: Duration = Duration::from_secs(1);
/// When everything must be where it was.
const AFTER: Duration = Duration::from_secs(10);
/// How soon a probe must be answered; the chart's are given as long.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// The proxy and the cluster of one attack.
#[derive(Debug)]
pub struct World {
    /// `None` where it is a real one.
    upstream: Option<Upstream>,
    seen: Arc<Seen>,
    remora: Remora,
    proxy: SocketAddr,
    /// The first broker.
    broker: SocketAddr,
}

impl World {
    /// Starts both, with further lines of configuration.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(binary: &Path, dir: &Path, further: &str) -> Result<Self> {
        Self::start_with(binary, dir, further, "")
    }

    /// The same with further keys of the first listener.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with(binary: &Path, dir: &Path, further: &str, listener: &str) -> Result<Self> {
        Self::start_behind(binary, dir, further, listener, Upstream::start()?)
    }

    /// The same with a cluster of the caller's.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_behind(
        binary: &Path,
        dir: &Path,
        further: &str,
        listener: &str,
        upstream: Upstream,
    ) -> Result<Self> {
        let broker = *upstream.brokers().first().context("a broker")?;
        let mut world = Self::start_before(
            binary,
            dir,
            further,
            listener,
            upstream.name_server(),
            broker,
        )?;
        world.seen = Arc::clone(upstream.seen());
        world.upstream = Some(upstream);
        Ok(world)
    }

    /// The same in front of servers of the caller's, real ones for one, and their first broker.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_before(
        binary: &Path,
        dir: &Path,
        further: &str,
        listener: &str,
        name_server: SocketAddr,
        broker: SocketAddr,
    ) -> Result<Self> {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (proxy, admin) = (local(free_port()?), local(free_port()?));
        let text = config(name_server, proxy, admin, further, listener);
        let remora = Remora::start_file(binary, dir, &text, admin, Target::new(proxy, []))?;
        Ok(Self {
            upstream: None,
            seen: Arc::default(),
            remora,
            proxy,
            broker,
        })
    }

    /// What the servers behind the proxy have seen; nothing, where they are real.
    #[must_use]
    pub fn seen(&self) -> &Arc<Seen> {
        &self.seen
    }

    /// Where the first broker is.
    #[must_use]
    pub fn broker(&self) -> SocketAddr {
        self.broker
    }

    /// The proxy.
    #[must_use]
    pub fn remora(&self) -> &Remora {
        &self.remora
    }

    /// Where things are.
    #[must_use]
    pub fn ground(&self) -> Ground {
        Ground {
            proxy: self.proxy,
            admin: self.remora.admin(),
            seen: Arc::clone(&self.seen),
        }
    }

    /// Has healthy clients work before, during and after an attack, and judges what they notice.
    ///
    /// # Errors
    /// When they do not work even before it, or the attack cannot be made.
    pub fn judge<F>(
        &self,
        attack: &Attack,
        run: impl FnOnce(Ground) -> F + Send + 'static,
    ) -> Result<Outcome>
    where
        F: Future<Output = Result<()>>,
    {
        let addresses = Addresses {
            proxy: self.proxy,
            broker: self.broker,
        };
        let healthy = Healthy::start(addresses)?;
        let from = wait_calm(&healthy)?;
        let figures = Figures::ask(self.remora.admin())?;
        let begun = Instant::now();
        let (ended, probes) = self.attack(attack.time, run);
        let over = Instant::now();
        let mut outcome = Outcome {
            name: attack.name.clone(),
            row: attack.row,
            what: attack.what,
            ..Outcome::default()
        };
        // What is under way is answered, or has failed, by then.
        let after = over + SETTLE / 2;
        thread::sleep(SETTLE);
        judge_healthy(&mut outcome, attack, &healthy, [from, begun, over]);
        if let Some(late) = probes {
            outcome.broken.push(format!("/livez: {late}"));
        }
        if let Err(e) = ended {
            outcome.broken.push(format!("the attack: {e:#}"));
        }
        self.judge_after(&mut outcome, &figures, over);
        let last = Instant::now();
        // What is due by then is answered, too.
        thread::sleep(SETTLE / 4);
        let calm = healthy.summary(Kind::Send, after.min(last), last);
        if calm.ok_percent() < OK_PERCENT {
            let percent = calm.ok_percent();
            outcome
                .broken
                .push(format!("afterwards, {percent:.0} % of sends are ok"));
        }
        self.judge_process(&mut outcome);
        Ok(outcome)
    }

    /// Runs an attack for as long as it may take, and asks for liveness meanwhile. What is still
    /// open is closed.
    fn attack<F>(
        &self,
        time: Duration,
        run: impl FnOnce(Ground) -> F + Send + 'static,
    ) -> (Result<()>, Option<String>)
    where
        F: Future<Output = Result<()>>,
    {
        let ground = self.ground();
        let admin = self.remora.admin();
        let over = Arc::new(AtomicBool::new(false));
        let probing = thread::spawn({
            let over = Arc::clone(&over);
            move || probe(admin, &over)
        });
        let attacking = thread::spawn(move || -> Result<()> {
            // Attackers have machines of their own. Here they get what is left by those that they
            // attack.
            setpriority_process(None, LOWEST_PRIORITY)?;
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let begun = Instant::now();
            let result = LocalSet::new().block_on(&runtime, async {
                match tokio::time::timeout(time, run(ground)).await {
                    Ok(ended) => ended,
                    Err(_) => Ok(()),
                }
            });
            thread::sleep(time.saturating_sub(begun.elapsed()));
            result
        });
        let ended = match attacking.join() {
            Ok(ended) => ended,
            Err(_) => Err(anyhow::anyhow!("the attacker panicked")),
        };
        over.store(true, Ordering::Relaxed);
        (ended, probing.join().unwrap_or_default())
    }

    /// Gauges are where they were.
    fn judge_after(&self, outcome: &mut Outcome, before: &Figures, over: Instant) {
        loop {
            let grown = match Figures::ask(self.remora.admin()) {
                Ok(now) => now.above(before),
                Err(e) => vec![format!("/metrics: {e:#}")],
            };
            if grown.is_empty() {
                return;
            }
            if over.elapsed() > AFTER {
                outcome.broken.extend(grown);
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Its memory was within the limit, it has not panicked, and it still runs.
    fn judge_process(&self, outcome: &mut Outcome) {
        match peak_memory(self.remora.process().pid()) {
            Ok(peak) => outcome.peak = peak,
            Err(e) => outcome.broken.push(format!("the proxy has ended: {e:#}")),
        }
        if outcome.peak > LIMIT_BYTES {
            let peak = outcome.peak / 1_000_000;
            outcome.broken.push(format!("{peak} MB were resident"));
        }
        match self.remora.log_lines("panicked") {
            Ok(lines) if lines.is_empty() => {}
            Ok(lines) => outcome.broken.push(format!("panicked: {lines:?}")),
            Err(e) => outcome.broken.push(format!("{e:#}")),
        }
    }
}

fn config(
    name_server: SocketAddr,
    proxy: SocketAddr,
    admin: SocketAddr,
    further: &str,
    listener: &str,
) -> String {
    // What stands before any table, the first table, others.
    let at = further.match_indices('[').find(|(at, _)| {
        *at == 0
            || further
                .get(..*at)
                .is_some_and(|before| before.ends_with('\n'))
    });
    let (top, tables) = further.split_at(at.map_or(further.len(), |(at, _)| at));
    let memory = if HAS_MEMORY_KEY && !tables.contains("[limits]") {
        format!("[limits]\nmemory_bytes = {LIMIT_BYTES}\n")
    } else {
        String::new()
    };
    format!(
        "name_servers = [\"{name_server}\"]\nadmin = \"{admin}\"\n{top}\n\
         [[listener]]\nbind = \"{proxy}\"\n{listener}\n{memory}{tables}\n"
    )
}

/// Asks for liveness until it is over; answers what was wrong with it first.
fn probe(admin: SocketAddr, over: &AtomicBool) -> Option<String> {
    while !over.load(Ordering::Relaxed) {
        if let Err(e) = admin_get(admin, "/livez", PROBE_LIMIT) {
            return Some(format!("{e:#}"));
        }
        thread::sleep(Duration::from_millis(200));
    }
    None
}
