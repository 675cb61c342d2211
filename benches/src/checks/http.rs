//! The goals of HTTP: ratios between targets, and between batches and single sends.

use super::{Bound, Outcome};
use crate::load::Sample;
use crate::rounds::{Measured, Metric};
use crate::shape::Work;
use crate::stack::{JAVA_GRPC, REMORA_HTTP, REMORA_REMOTING};
use crate::stats::Spread;

/// CPU time of the proxy for a send by HTTP, over that by remoting.
const CPU_OF_REMOTING: f64 = 2.0;

/// The same, over that of the Java proxy by gRPC.
const CPU_OF_JAVA: f64 = 0.25;

/// What a send may take longer than by remoting, in microseconds.
const LONGER: f64 = 60.0;

/// Messages per second in batches, over those sent one by one.
const BATCHES: f64 = 6.0;

/// Everything that is asked of HTTP.
#[must_use]
pub fn of_http(all: &[Measured]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut push = |measured: &Measured, what: &str, figure: Option<Spread>, bound| {
        // Not every shape and target is measured in every run.
        let outcome = figure.map(|figure| Outcome {
            shape: measured.shape.name(),
            what: what.to_owned(),
            figure,
            bound,
        });
        outcomes.extend(outcome);
    };
    for measured in all {
        let connections = measured.shape.connections;
        match measured.shape.work {
            Work::HttpSend(_) => {
                let what = "CPU, HTTP / remoting";
                let figure = measured.ratio(REMORA_HTTP, REMORA_REMOTING, Metric::ProxyCpu);
                push(measured, what, figure, Bound::AtMost(CPU_OF_REMOTING));
                if connections == 64 {
                    let what = "CPU, Remora HTTP / Java proxy gRPC";
                    let figure = measured.ratio(REMORA_HTTP, JAVA_GRPC, Metric::ProxyCpu);
                    push(measured, what, figure, Bound::AtMost(CPU_OF_JAVA));
                }
                if connections == 1 {
                    let what = "p50, HTTP − remoting, µs";
                    let (http, remoting) = (REMORA_HTTP, REMORA_REMOTING);
                    let figure = pairs(measured.samples(http), measured.samples(remoting))
                        .map(|(http, remoting)| http.p50 - remoting.p50);
                    push(measured, what, Spread::of(figure), Bound::AtMost(LONGER));
                }
            }
            Work::HttpBatch(size) => {
                let mut others = all.iter().map(|other| (other, &other.shape));
                let single = others.find(|(_, shape)| {
                    shape.work == Work::HttpSend(size) && shape.connections == connections
                });
                let Some((single, _)) = single else {
                    continue;
                };
                // All bodies have the same size.
                let what = "messages/s, batches / single sends";
                let figure = pairs(measured.samples(REMORA_HTTP), single.samples(REMORA_HTTP))
                    .map(|(batch, single)| batch.bodies / single.bodies);
                push(measured, what, Spread::of(figure), Bound::AtLeast(BATCHES));
            }
            _ => {}
        }
    }
    outcomes
}

/// The samples of each round.
fn pairs<'a>(
    one: &'a [Sample],
    other: &'a [Sample],
) -> impl Iterator<Item = (&'a Sample, &'a Sample)> {
    one.iter().zip(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    fn sample(cpu: f64, p50: f64, bodies: f64) -> Sample {
        Sample {
            rate: 1.0,
            p50,
            p99: p50,
            proxy_cpu: Some(cpu),
            broker_cpu: 1.0,
            load_cpu: 1.0,
            proxy_memory: None,
            bodies,
        }
    }

    #[test]
    fn each_goal_is_of_its_own_shape() {
        let measured = |work, connections, targets| Measured {
            shape: Shape::new(work, connections, 1),
            targets,
        };
        let all = [
            measured(
                Work::HttpSend(128),
                1,
                vec![
                    (REMORA_HTTP, vec![sample(15.0, 150.0, 1.0)]),
                    (REMORA_REMOTING, vec![sample(10.0, 100.0, 1.0)]),
                    (JAVA_GRPC, vec![sample(100.0, 300.0, 1.0)]),
                ],
            ),
            measured(
                Work::HttpBatch(128),
                1,
                vec![(REMORA_HTTP, vec![sample(90.0, 900.0, 5.0)])],
            ),
            measured(
                Work::HttpSend(128),
                64,
                vec![
                    (REMORA_HTTP, vec![sample(30.0, 150.0, 1.0)]),
                    (REMORA_REMOTING, vec![sample(10.0, 100.0, 1.0)]),
                    (JAVA_GRPC, vec![sample(120.0, 300.0, 1.0)]),
                ],
            ),
        ];
        let found = of_http(&all);
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.figure.median, one.verdict()))
            .collect();
        let missed = "**missed**";
        let expected = [
            (1.5, "reached"),
            (50.0, "reached"),
            (5.0, missed),
            (3.0, missed),
            (0.25, "reached"),
        ];
        assert_eq!(found, expected);
    }
}
