//! The parts of `make bench`.

mod attacks;
mod figures;
mod fleet;
mod growth;
mod grpc;
mod grpc_idle;
mod http;
mod idle;
mod memory;
mod side_by_side;
mod sinks;
mod start;
mod tls;
mod variants;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use integration_tests::proxy_process::{Remora, remora_binary};
use integration_tests::workspace::Scratch;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::load::Timing;
use crate::relay::Runtimes;
use crate::shape::Shape;
use crate::stack::{REMORA, Target};

/// What can be measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Part {
    /// Direct, HAProxy, the Java proxy and Remora on one real broker.
    SideBySide,
    /// Direct, HAProxy and Remora on brokers of ours that answer immediately.
    Sinks,
    /// Resident memory at rest, with idle clients, and under load.
    Memory,
    /// Thousands of clients that send heartbeats only.
    Idle,
    /// The cost of a request with many connections, topics and groups.
    Growth,
    /// The Java proxy and Remora with gRPC clients, on one real broker.
    Grpc,
    /// Thousands of gRPC clients that ask for nothing.
    GrpcIdle,
    /// Remora with clients by HTTP and by remoting, and the Java proxy, on one real broker.
    Http,
    /// From the start to serving.
    Start,
    /// HAProxy and Remora that take TLS off, on a broker of ours that answers immediately.
    Tls,
    /// What the figures of `/metrics` cost.
    Figures,
    /// What well-behaved clients notice of misbehaving ones.
    Attacks,
    /// Other builds of Remora (`--variant`), and two ways to run a relay.
    Variants,
    /// The process of the sinks; the other parts start it.
    #[value(hide = true)]
    SinkProcess,
    /// The process of a relay, likewise.
    #[value(hide = true)]
    RelayProcess,
}

/// Measures Remora beside the other proxies, and writes the figures into RESULTS.md.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// What to measure, one after the other.
    #[arg(required = true)]
    pub parts: Vec<Part>,

    /// Alternating rounds; more of them, and longer ones, give steadier medians.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,

    /// How long each load is measured, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    pub measure: u64,

    /// How long each load runs before it is measured.
    #[arg(long, default_value_t = 250)]
    pub settle: u64,

    /// How long each load runs on each target once, before the first round, for virtual machines to
    /// compile what they run.
    #[arg(long, default_value_t = 1000)]
    pub warm_up: u64,

    /// Threads that make the load.
    #[arg(long, default_value_t = 1)]
    pub load_threads: usize,

    /// Only the shapes whose name contains this.
    #[arg(long)]
    pub shapes: Option<String>,

    /// Clients of the parts memory and idle.
    #[arg(long, default_value_t = 5000)]
    pub clients: usize,

    /// How long idle clients are watched, in seconds.
    #[arg(long, default_value_t = 60)]
    pub watch: u64,

    /// The folder of RESULTS.md.
    #[arg(long, default_value = env!("CARGO_MANIFEST_DIR"), hide_default_value = true)]
    pub results: PathBuf,

    /// Another build of Remora for the part variants; may be given several times.
    #[arg(long = "variant", value_name = "NAME=FILE")]
    pub variants: Vec<String>,

    /// Also measures Webdis in front of Redis in the part http.
    #[arg(long)]
    pub bridge: bool,

    /// How a relay runs.
    #[arg(long, hide = true)]
    pub runtimes: Option<Runtimes>,

    /// The relay's broker.
    #[arg(long, hide = true)]
    pub relay_to: Option<SocketAddr>,

    /// How many sinks.
    #[arg(long, hide = true, default_value_t = 1)]
    pub brokers: usize,
}

impl Options {
    fn timing(&self) -> Timing {
        Timing {
            warm_up: Duration::from_millis(self.settle),
            measure: Duration::from_millis(self.measure),
            threads: self.load_threads,
        }
    }

    fn chosen(&self, shapes: Vec<Shape>) -> Vec<Shape> {
        let wanted = self.shapes.as_deref().unwrap_or_default();
        let chosen = shapes.into_iter();
        chosen
            .filter(|shape| shape.name().contains(wanted))
            .collect()
    }

    fn method(&self, what: &str) -> String {
        format!(
            "{} rounds of {} ms after {} ms; {what}",
            self.rounds, self.measure, self.settle
        )
    }
}

/// Measures everything that is asked for.
///
/// # Errors
/// When something cannot be started, or a request is answered with an error.
pub fn run(options: &Options) -> Result<()> {
    allow_descriptors()?;
    for part in &options.parts {
        if *part == Part::SinkProcess {
            return crate::sink::run(options.brokers);
        }
        if *part == Part::RelayProcess {
            return variants::relay(options);
        }
        let scratch = Scratch::create("bench")?;
        match part {
            Part::SideBySide => side_by_side::run(options, scratch.path()),
            Part::Sinks => sinks::run(options, scratch.path()),
            Part::Memory => memory::run(options, scratch.path()),
            Part::Idle => idle::run(options, scratch.path()),
            Part::Growth => growth::run(options, scratch.path()),
            Part::Grpc => grpc::run(options, scratch.path()),
            Part::GrpcIdle => grpc_idle::run(options, scratch.path()),
            Part::Http => http::run(options, scratch.path()),
            Part::Start => start::run(options, scratch.path()),
            Part::Tls => tls::run(options, scratch.path()),
            Part::Figures => figures::run(options, scratch.path()),
            Part::Attacks => attacks::run(options, scratch.path()),
            Part::Variants => variants::run(options, scratch.path()),
            Part::SinkProcess | Part::RelayProcess => Ok(()),
        }?;
        scratch.remove();
    }
    Ok(())
}

/// Thousands of connections need as many descriptors, here and in what is started from here.
fn allow_descriptors() -> Result<()> {
    let allowed = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: allowed.maximum,
        ..allowed
    };
    setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")
}

/// Starts Remora with its defaults.
fn start_remora(dir: &Path, name_server: std::net::SocketAddr) -> Result<Remora> {
    Remora::start(
        &remora_binary()?,
        &dir.join("remora"),
        &name_server.to_string(),
    )
}

/// The way through it.
fn through(remora: &Remora) -> Target {
    let addresses = remora.target().allowed.clone();
    Target::new(REMORA, addresses, Some(remora.process().pid()))
}
