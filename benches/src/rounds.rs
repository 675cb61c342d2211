//! Alternating rounds.
//!
//! A round runs every shape on every target, one target right after the other, and each round
//! begins with another target. So whatever else the machine does falls on all of them, and it is
//! the ratio of two targets in one round that is judged: over many rounds, by its median.

use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::load::{Sample, Timing, Watched, run};
use crate::shape::Shape;
use crate::stack::{Target, create_groups};
use crate::stats::{Spread, number};

/// How long a target gets to have its connections closed before the next one's turn.
const PAUSE: Duration = Duration::from_millis(50);

/// What is measured.
#[derive(Debug)]
pub struct Plan {
    /// The ways to the broker.
    pub targets: Vec<Target>,
    /// The broker's process.
    pub broker: u32,
    /// Where it listens, if groups are made there before they receive.
    pub broker_address: Option<SocketAddr>,
    /// The brokers' names.
    pub brokers: Vec<String>,
    /// The loads.
    pub shapes: Vec<Shape>,
    /// How often.
    pub rounds: usize,
    /// How long each time.
    pub timing: Timing,
}

/// What was measured of one shape.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The shape.
    pub shape: Shape,
    /// By target, a sample for each round.
    pub targets: Vec<(&'static str, Vec<Sample>)>,
}

impl Measured {
    /// The samples of a target; none when it was not measured.
    #[must_use]
    pub fn samples(&self, target: &str) -> &[Sample] {
        let found = self.targets.iter().find(|(name, _)| *name == target);
        found.map_or(&[], |(_, samples)| samples)
    }

    /// A figure of a target over all rounds.
    #[must_use]
    pub fn spread(&self, target: &str, metric: Metric) -> Option<Spread> {
        self.spread_of(target, |sample| metric.of(sample))
    }

    /// What is made of each sample of a target, over all rounds.
    #[must_use]
    pub fn spread_of(&self, target: &str, of: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.samples(target).iter().filter_map(of))
    }

    /// A figure of one target over that of another, in each round.
    #[must_use]
    pub fn ratio(&self, one: &str, other: &str, metric: Metric) -> Option<Spread> {
        let pairs = self.samples(one).iter().zip(self.samples(other));
        Spread::of(pairs.filter_map(|(one, other)| Some(metric.of(one)? / metric.of(other)?)))
    }
}

/// A figure of a sample.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Metric {
    /// Requests per second.
    Rate,
    /// MB of bodies per second.
    Bodies,
    /// Half of the requests took less.
    P50,
    /// All but one in a hundred.
    P99,
    /// CPU time of the proxy per request.
    ProxyCpu,
    /// CPU time of the broker per request.
    BrokerCpu,
    /// CPU time of the load generator per request.
    LoadCpu,
    /// Resident memory of the proxy.
    Memory,
}

impl Metric {
    /// Its value in a sample.
    #[must_use]
    pub fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::Rate => Some(sample.rate),
            Self::Bodies => Some(sample.bodies),
            Self::P50 => Some(sample.p50),
            Self::P99 => Some(sample.p99),
            Self::ProxyCpu => sample.proxy_cpu,
            Self::BrokerCpu => Some(sample.broker_cpu),
            Self::LoadCpu => Some(sample.load_cpu),
            Self::Memory => sample.proxy_memory,
        }
    }
}

impl Plan {
    /// Has every target serve every shape for a while, so that virtual machines have compiled what
    /// they run.
    ///
    /// # Errors
    /// When a request is answered with an error.
    pub fn warm_up(&self, each: Duration) -> Result<()> {
        let timing = Timing {
            measure: each,
            ..self.timing
        };
        for shape in &self.shapes {
            for target in &self.targets {
                if let Some(shape) = (target.instead)(shape) {
                    self.sample(&shape, target, timing)?;
                }
            }
        }
        Ok(())
    }

    /// Measures.
    ///
    /// # Errors
    /// When a request is answered with an error.
    pub fn measure(&self) -> Result<Vec<Measured>> {
        let mut all: Vec<Measured> = self
            .shapes
            .iter()
            .map(|shape| self.nothing(shape))
            .collect();
        for round in 0..self.rounds {
            for measured in &mut all {
                let order = (0..self.targets.len()).cycle().skip(round);
                for nth in order.take(self.targets.len()) {
                    let (Some(target), Some((_, samples))) =
                        (self.targets.get(nth), measured.targets.get_mut(nth))
                    else {
                        continue;
                    };
                    let Some(shape) = (target.instead)(&measured.shape) else {
                        continue;
                    };
                    let sample = self.sample(&shape, target, self.timing)?;
                    tell(round + 1, self.rounds, &measured.shape, target, &sample);
                    samples.push(sample);
                    std::thread::sleep(PAUSE);
                }
            }
        }
        Ok(all)
    }

    fn nothing(&self, shape: &Shape) -> Measured {
        let targets = self.targets.iter().map(|target| (target.name, Vec::new()));
        Measured {
            shape: shape.clone(),
            targets: targets.collect(),
        }
    }

    fn sample(&self, shape: &Shape, target: &Target, timing: Timing) -> Result<Sample> {
        let watched = Watched {
            proxy: target.proxy,
            broker: target.broker.unwrap_or(self.broker),
        };
        let load = shape.load(target, &self.brokers);
        if let (Some(receiving), Some(address)) = (&load.receiving, self.broker_address) {
            create_groups(address, receiving)?;
        }
        run(&load, timing, watched).with_context(|| format!("{} on {}", shape.name(), target.name))
    }
}

/// Prints the progress.
fn tell(round: usize, rounds: usize, shape: &Shape, target: &Target, sample: &Sample) {
    let cpu = sample.proxy_cpu.map_or("-".to_owned(), number);
    let _ = writeln!(
        stderr(),
        "{round}/{rounds} {:<28} {:<10} {:>8}/s  p50 {:>6} µs  p99 {:>6} µs  cpu: proxy {cpu}, broker {}, load {} µs",
        shape.name(),
        target.name,
        number(sample.rate),
        number(sample.p50),
        number(sample.p99),
        number(sample.broker_cpu),
        number(sample.load_cpu),
    );
}
