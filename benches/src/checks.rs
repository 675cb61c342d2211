//! The goals of Remora, and whether it has reached them.

mod http;

use std::fmt;

pub use http::of_http;

use crate::rounds::{Measured, Metric};
use crate::shape::{Shape, Work};
use crate::stack::{DIRECT, HAPROXY, JAVA, REMORA};
use crate::stats::{Spread, number};

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Bound {
    /// Whether a figure is within.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "≤ {}", number(*bound)),
            Self::AtLeast(bound) => write!(f, "≥ {}", number(*bound)),
        }
    }
}

/// A figure beside what is asked of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Where it was measured.
    pub shape: String,
    /// What was measured.
    pub what: String,
    /// The figure, over all rounds.
    pub figure: Spread,
    /// What is asked.
    pub bound: Bound,
}

impl Outcome {
    /// An outcome of a figure that was measured once.
    #[must_use]
    pub fn single(shape: &str, what: &str, figure: f64, bound: Bound) -> Self {
        let [min, lower, median, upper, max] = [figure; 5];
        Self {
            shape: shape.to_owned(),
            what: what.to_owned(),
            figure: Spread {
                min,
                lower,
                median,
                upper,
                max,
            },
            bound,
        }
    }

    /// `reached` or `missed`.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        if self.bound.holds(self.figure.median) {
            "reached"
        } else {
            "**missed**"
        }
    }
}

/// One ratio that is asked for.
struct Rule {
    what: &'static str,
    metric: Metric,
    over: (&'static str, &'static str),
    bound: Bound,
}

/// Everything that is asked of what was measured. `real` is whether that was on a real broker.
#[must_use]
pub fn outcomes(all: &[Measured], real: bool) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for measured in all {
        for rule in rules(&measured.shape, real) {
            let (one, other) = rule.over;
            // Not every target is measured everywhere.
            if let Some(figure) = measured.ratio(one, other, rule.metric) {
                outcomes.push(Outcome {
                    shape: measured.shape.name(),
                    what: rule.what.to_owned(),
                    figure,
                    bound: rule.bound,
                });
            }
        }
    }
    outcomes
}

fn rules(shape: &Shape, real: bool) -> Vec<Rule> {
    let of_haproxy = (REMORA, HAPROXY);
    let of_direct = (REMORA, DIRECT);
    let load = (shape.connections, shape.outstanding);
    let is_pull = shape.work == Work::Pull;
    let is_small = shape.is_small_send();
    let mut rules = Vec::new();
    let mut rule = |what, metric, over, bound| {
        rules.push(Rule {
            what,
            metric,
            over,
            bound,
        });
    };
    if shape.work == Work::GrpcReceive {
        if matches!(load, (16, 1) | (4, 4)) {
            let (theirs, cpu) = ((JAVA, REMORA), Bound::AtLeast(6.0));
            rule("CPU, Java proxy / Remora", Metric::ProxyCpu, theirs, cpu);
        }
        return rules;
    }
    if let Work::GrpcSend(_) = shape.work {
        if matches!(load, (64, 1) | (4, 64)) {
            let (cpu, rate) = (Bound::AtLeast(6.0), Bound::AtLeast(3.0));
            let (ours, theirs) = ((REMORA, JAVA), (JAVA, REMORA));
            rule("CPU, Java proxy / Remora", Metric::ProxyCpu, theirs, cpu);
            rule("requests/s, Remora / Java proxy", Metric::Rate, ours, rate);
        }
        return rules;
    }
    let cpu_of_haproxy = match (is_pull, load) {
        (false, (1, 1)) => Some(1.1),
        (false, (16, 1)) => Some(0.9),
        (false, (64 | 256, 1)) => Some(0.8),
        (false, (16, 32)) => Some(2.0),
        (true, (4, 1)) => Some(1.2),
        (true, (16, 4)) => Some(1.0),
        _ => None,
    };
    if let Some(most) = cpu_of_haproxy.filter(|_| is_small || is_pull) {
        let bound = Bound::AtMost(most);
        rule("CPU, Remora / HAProxy", Metric::ProxyCpu, of_haproxy, bound);
    }
    let times = match load {
        (1, 1) => 5.0,
        (16, 32) => 15.0,
        _ => 8.0,
    };
    if is_small || is_pull {
        let bound = Bound::AtLeast(times);
        rule(
            "CPU, Java proxy / Remora",
            Metric::ProxyCpu,
            (JAVA, REMORA),
            bound,
        );
    }
    if !is_small && !is_pull {
        let bound = Bound::AtLeast(0.95);
        rule("MB/s, Remora / HAProxy", Metric::Bodies, of_haproxy, bound);
    } else if shape.connections >= 16 {
        let bound = Bound::AtLeast(1.05);
        rule(
            "requests/s, Remora / HAProxy",
            Metric::Rate,
            of_haproxy,
            bound,
        );
    }
    let of_direct_rate = match load {
        (64, 1) => Some(1.0),
        (256 | 1000, 1) => Some(0.95),
        _ => None,
    };
    if let Some(least) = of_direct_rate.filter(|_| is_small) {
        let bound = Bound::AtLeast(least);
        rule(
            "requests/s, Remora / direct",
            Metric::Rate,
            of_direct,
            bound,
        );
    }
    if is_small && load == (64, 1) && real {
        let bound = Bound::AtMost(0.8);
        rule(
            "CPU of the broker, Remora / direct",
            Metric::BrokerCpu,
            of_direct,
            bound,
        );
    }
    if is_small && load == (1, 1) {
        let bound = Bound::AtMost(1.1);
        rule("p50, Remora / HAProxy", Metric::P50, of_haproxy, bound);
    }
    if is_small && shape.connections >= 64 {
        let bound = Bound::AtMost(1.0);
        rule("p99, Remora / direct", Metric::P99, of_direct, bound);
    }
    rules
}
