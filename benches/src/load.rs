//! The load generator: connections that each keep some requests outstanding.
//!
//! It shares the machine's cores with what it measures, so it costs little: requests are encoded
//! beforehand and only their opaque is written again, all connections of a thread share one runtime
//! and one read buffer, and what a read has answered is asked again in one write.

mod calls;
mod connection;
mod exchanges;
mod receives;
mod stream;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use remoting_codec::RemotingCommand;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::procfs::{CpuTimes, resident};
use crate::stats::quantile;
pub use calls::{Call, Caller};
use connection::{Connection, Shared};
pub use exchanges::{Exchange, Sending, request};
pub use receives::{Present, Receiving};
pub use stream::NAME;

/// How long all connections may take to be there.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);

/// How long the last answers may take once the load stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Fewer requests prove nothing: this many are waited for, but not for longer than [`PATIENCE`].
const LEAST_ANSWERS: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// How often we look whether the load has failed.
const LOOK: Duration = Duration::from_millis(20);

/// A load.
#[derive(Clone)]
pub struct Load {
    /// Where connections lead, each to the next of these.
    pub addresses: Vec<SocketAddr>,
    /// How many connections.
    pub connections: usize,
    /// How many requests each has outstanding.
    pub outstanding: usize,
    /// What connections ask: each the next of these lists, one request of it after the other.
    pub requests: Vec<Arc<[RemotingCommand]>>,
    /// The requests that connections send before the load, each the next of these lists.
    pub hello: Vec<Vec<RemotingCommand>>,
    /// An answer with a shorter body is an error.
    pub least_body: usize,
    /// Makes connections secure, if they must use TLS.
    pub tls: Option<TlsConnector>,
    /// The call of gRPC that is made instead of the requests.
    pub call: Option<Arc<Call>>,
    /// What is asked by HTTP instead of the requests.
    pub exchange: Option<Arc<Exchange>>,
    /// What is received by gRPC or HTTP instead of the requests.
    pub receiving: Option<Arc<Receiving>>,
}

/// How a load is measured.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long the load runs before anything is measured.
    pub warm_up: Duration,
    /// How long is measured.
    pub measure: Duration,
    /// Threads that make the load.
    pub threads: usize,
}

/// Whose CPU time is measured.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// The proxy, if there is one.
    pub proxy: Option<u32>,
    /// The broker.
    pub broker: u32,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Requests answered per second.
    pub rate: f64,
    /// Half of the requests took less, in microseconds.
    pub p50: f64,
    /// All but one in a hundred took less.
    pub p99: f64,
    /// CPU time of the proxy per request, in microseconds.
    pub proxy_cpu: Option<f64>,
    /// CPU time of the broker per request.
    pub broker_cpu: f64,
    /// CPU time of the load generator per request.
    pub load_cpu: f64,
    /// Resident memory of the proxy in MB, at the end.
    pub proxy_memory: Option<f64>,
    /// Bytes of bodies per second, in either direction, in MB.
    pub bodies: f64,
}

/// What threads share with the thread that measures.
#[derive(Debug, Default)]
pub(crate) struct Control {
    phase: AtomicU8,
    connected: AtomicUsize,
    failed: AtomicBool,
    /// Requests answered, by all threads.
    answered: AtomicU64,
    /// Bytes of bodies that went or came with them.
    bodies: AtomicU64,
}

/// The stages of the load after its start, which is the warm-up. Only latencies of the first are
/// counted.
pub(crate) const MEASURE: u8 = 1;
pub(crate) const STOP: u8 = 2;

/// Runs a load and measures it.
///
/// # Errors
/// When a connection fails, or a request is answered with an error.
pub fn run(load: &Load, timing: Timing, watched: Watched) -> Result<Sample> {
    let control = Arc::<Control>::default();
    let (latencies, finished) = mpsc::channel();
    for number in 0..timing.threads {
        let (load, control, latencies) = (load.clone(), control.clone(), latencies.clone());
        thread::Builder::new()
            .name(format!("load-{number}"))
            .spawn(move || {
                let result = serve(&load, &control, number, timing.threads);
                control.failed.fetch_or(result.is_err(), Ordering::Relaxed);
                let _ = latencies.send(result);
            })?;
    }
    drop(latencies);
    let measured = watch(load, timing, watched, &control);
    control.phase.store(STOP, Ordering::Relaxed);
    let mut micros = Vec::new();
    for result in finished {
        micros.extend(result?.into_iter().map(|latency| f64::from(latency) / 10.0));
    }
    micros.sort_by(f64::total_cmp);
    Ok(Sample {
        p50: quantile(&micros, 0.5).context("no request was answered")?,
        p99: quantile(&micros, 0.99).context("no request was answered")?,
        ..measured?
    })
}

/// Waits until all is connected and warm, then measures.
fn watch(load: &Load, timing: Timing, watched: Watched, control: &Control) -> Result<Sample> {
    let limit = Instant::now() + CONNECT_LIMIT;
    while control.connected.load(Ordering::Relaxed) < load.connections {
        if Instant::now() > limit {
            bail!("{} connections are not there in time", load.connections);
        }
        pause(Instant::now() + LOOK, control)?;
    }
    pause(Instant::now() + timing.warm_up, control)?;
    let times = || -> Result<_> {
        let proxy = watched.proxy.map(CpuTimes::now).transpose()?;
        Ok((
            proxy,
            CpuTimes::now(watched.broker)?,
            CpuTimes::now(std::process::id())?,
        ))
    };
    let (proxy, broker, own) = times()?;
    let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (answered, bodies, begun) = (
        counted(&control.answered),
        counted(&control.bodies),
        Instant::now(),
    );
    control.phase.store(MEASURE, Ordering::Relaxed);
    pause(begun + timing.measure, control)?;
    // On a busy machine, a figure that is late is better than none.
    while counted(&control.answered) - answered < LEAST_ANSWERS && begun.elapsed() < PATIENCE {
        pause(Instant::now() + LOOK, control)?;
    }
    let answered = (counted(&control.answered) - answered) as f64;
    let bodies = (counted(&control.bodies) - bodies) as f64;
    let seconds = begun.elapsed().as_secs_f64();
    let (proxy_end, broker_end, own_end) = times()?;
    let proxy_cpu = proxy.zip(proxy_end);
    let memory = watched.proxy.map(resident).transpose()?;
    Ok(Sample {
        rate: answered / seconds,
        p50: 0.0,
        p99: 0.0,
        proxy_cpu: proxy_cpu.map(|(before, after)| after.micros_since(&before) / answered),
        broker_cpu: broker_end.micros_since(&broker) / answered,
        load_cpu: own_end.micros_since(&own) / answered,
        proxy_memory: memory.map(|bytes| bytes as f64 / 1e6),
        bodies: bodies / seconds / 1e6,
    })
}

/// Waits, unless the load fails.
fn pause(until: Instant, control: &Control) -> Result<()> {
    loop {
        if control.failed.load(Ordering::Relaxed) {
            bail!("the load has failed");
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK));
    }
}

/// Runs the connections of one thread. Answers the latencies, in tenths of a microsecond.
fn serve(load: &Load, control: &Arc<Control>, number: usize, threads: usize) -> Result<Vec<u32>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let shared = Rc::new(Shared::new(control.clone(), load)?);
    let all = LocalSet::new();
    all.block_on(&runtime, async {
        let mut running = JoinSet::new();
        for nth in (number..load.connections).step_by(threads) {
            if let Some(exchange) = &load.exchange {
                let connection = exchanges::Connection::open(&shared, load, exchange, nth).await?;
                running.spawn_local(connection.run());
            } else if let Some(receiving) = &load.receiving {
                let connection = receives::Connection::open(&shared, load, receiving, nth).await?;
                running.spawn_local(connection.run());
            } else if let Some(call) = &load.call {
                let connection = calls::Connection::open(&shared, load, call, nth).await?;
                running.spawn_local(connection.run());
            } else {
                let connection = Connection::open(&shared, load, nth).await?;
                running.spawn_local(connection.run());
            }
            control.connected.fetch_add(1, Ordering::Relaxed);
        }
        tokio::select! {
            ended = async {
                while let Some(ended) = running.join_next().await {
                    ended??;
                }
                anyhow::Ok(())
            } => ended,
            () = overdue(control) => bail!("the last requests were not answered"),
        }
    })?;
    Ok(shared.latencies())
}

/// Returns when the load should long have ended.
async fn overdue(control: &Control) {
    while control.phase.load(Ordering::Relaxed) != STOP {
        tokio::time::sleep(LOOK).await;
    }
    tokio::time::sleep(DRAIN_LIMIT).await;
}
