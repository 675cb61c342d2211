//! Whether a request costs more where there is more of everything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use integration_tests::proxy_process::Remora;
use remoting_codec::{RemotingCommand, SerializeType};

use super::{Options, start_remora, through};
use crate::checks::{Bound, Outcome};
use crate::load::{Load, Sample, Timing, Watched, run as run_load};
use crate::report::Section;
use crate::requests::{heartbeat, pull, route};
use crate::rounds::Metric;
use crate::shape::{PULL_TOPIC, Shape, Work, topic};
use crate::sink::broker_name;
use crate::stack::Sinks;
use crate::stats::Spread;
use crate::tables;
use crate::wire::Client;

const CONNECTIONS: [usize; 5] = [16, 64, 256, 1024, 4096];
const TOPICS: [usize; 5] = [1, 10, 100, 1000, 10_000];
const GROUPS: [usize; 4] = [1, 10, 100, 1000];

/// Connections where something else grows.
const FEW: usize = 64;

/// What "does not grow" may be at most, the last figure over the first: caches are what they are.
const GROWTH: f64 = 1.1;

/// One step of what grows.
struct Step {
    count: usize,
    load: Load,
    samples: Vec<Sample>,
}

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let sinks = Sinks::start(dir, 1)?;
    let remora = start_remora(dir, sinks.name_server())?;
    let brokers = [broker_name(0)];
    let target = through(&remora);
    let send = |connections, topics| {
        let shape = Shape {
            topics,
            ..Shape::new(Work::Send(128), connections, 1)
        };
        shape.load(&target, &brokers)
    };
    ask_for_topics(&remora)?;
    let mut kinds = [
        ("connections", steps(CONNECTIONS, |count| send(count, 1))),
        ("topics", steps(TOPICS, |count| send(FEW, count))),
        (
            "consumer groups",
            steps(GROUPS, |count| Load {
                addresses: target.addresses.clone(),
                ..members(count)
            }),
        ),
    ];
    let watched = Watched {
        proxy: target.proxy,
        broker: sinks.pid(),
    };
    for _ in 0..options.rounds {
        for (what, steps) in &mut kinds {
            for step in steps {
                let sample = run_load(&step.load, timing(options, &step.load), watched)
                    .with_context(|| format!("{} {what}", step.count))?;
                step.samples.push(sample);
            }
        }
    }
    remora.stop(&[""])?;
    Section {
        part: "growth",
        title: "The cost of a request with many connections, topics and groups".to_owned(),
        peers: Vec::new(),
        method: options.method(
            "on one sink broker. Topics and groups: 64 connections. Sends of 128 bytes; where groups grow, pulls of \
             12 KB by registered consumers. Every topic's route was asked for through Remora before.",
        ),
        body: kinds.iter().map(|(what, steps)| shown(what, steps)).collect(),
    }
    .publish(&options.results)
}

/// Thousands of connections are accepted and shared out before a request of theirs is counted.
fn timing(options: &Options, load: &Load) -> Timing {
    let accepted = Duration::from_micros(250) * u32::try_from(load.connections).unwrap_or(u32::MAX);
    let timing = options.timing();
    Timing {
        warm_up: timing.warm_up.max(accepted),
        ..timing
    }
}

fn steps(counts: impl IntoIterator<Item = usize>, load: impl Fn(usize) -> Load) -> Vec<Step> {
    let steps = counts.into_iter().map(|count| Step {
        count,
        load: load(count),
        samples: Vec::new(),
    });
    steps.collect()
}

/// Connections that are in that many groups altogether, and pull for them in turn.
fn members(groups: usize) -> Load {
    let broker = broker_name(0);
    let of_connection = |nth: usize| {
        let first = nth % groups;
        (first..groups)
            .step_by(FEW)
            .map(|group| format!("group-{group}"))
    };
    let pulls = (0..FEW).map(|nth| -> Arc<[RemotingCommand]> {
        of_connection(nth)
            .map(|group| pull(&broker, PULL_TOPIC, 0, &group, SerializeType::Json))
            .collect()
    });
    let hello = (0..FEW).map(|nth| {
        let groups: Vec<_> = of_connection(nth).collect();
        let client = format!("127.0.0.1@{nth}");
        vec![heartbeat(
            &client,
            "benchmark_producer",
            &groups,
            PULL_TOPIC,
        )]
    });
    Load {
        addresses: Vec::new(),
        connections: FEW,
        outstanding: 1,
        requests: pulls.collect(),
        hello: hello.collect(),
        call: None,
        exchange: None,
        receiving: None,
        least_body: crate::requests::PULLED_LEAST,
        tls: None,
    }
}

/// Has Remora know every route.
fn ask_for_topics(remora: &Remora) -> Result<()> {
    let address = *remora.target().allowed.first().context("it listens")?;
    let mut client = Client::connect(address)?;
    let most = TOPICS.into_iter().max().unwrap_or_default();
    for nth in 0..most {
        client.succeed(&route(&topic(nth)))?;
    }
    Ok(())
}

fn shown(what: &str, steps: &[Step]) -> String {
    let spread = |step: &Step, metric: Metric| {
        Spread::of(step.samples.iter().filter_map(|sample| metric.of(sample)))
    };
    let cell =
        |step: &Step, metric| spread(step, metric).map_or("–".to_owned(), |s| s.to_string());
    let rows: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            vec![
                step.count.to_string(),
                cell(step, Metric::ProxyCpu),
                cell(step, Metric::Rate),
                cell(step, Metric::P99),
            ]
        })
        .collect();
    let heads = [
        what,
        "CPU time per request, µs",
        "requests per second",
        "p99, µs",
    ];
    let mut text = format!("### {what}\n\n{}\n", tables::table(&heads, &rows));
    if let Some((first, last)) = steps.first().zip(steps.last()) {
        let pairs = first.samples.iter().zip(&last.samples);
        let ratios = pairs.filter_map(|(first, last)| Some(last.proxy_cpu? / first.proxy_cpu?));
        if let Some(figure) = Spread::of(ratios) {
            let outcome = Outcome {
                shape: format!("{} → {} {what}", first.count, last.count),
                what: "CPU time, last / first".to_owned(),
                figure,
                bound: Bound::AtMost(GROWTH),
            };
            text.push_str(&format!("{}\n", tables::outcomes(&[outcome])));
        }
    }
    text
}
