//! Clients that speak gRPC know one address. A replica behind it is dead when they start, and each
//! replica is killed while they work, or drained as a rolling upgrade does it.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{unharmed, wait_arrived},
    go::Go,
    java::EndpointJava,
    java_client::JavaClient,
    node::Node,
    program::Program,
    python::Python,
    replicas::Replicas,
    scenario::Scenario,
    suite::{TestFn, report},
    target::Target,
    wait::now_ms,
};
use tokio::time::Instant;

use crate::{load::longest_pause, replicas};

/// In a quick run.
pub(crate) const QUICK: &[(&str, TestFn)] = &[
    ("grpc_clients_survive_dead_replicas", |it| {
        survive_dead_replicas(it, JAVA)
    }),
    ("grpc_clients_move_in_a_rolling_drain", |it| {
        move_in_a_rolling_drain(it, &[JAVA])
    }),
];

/// With all clients.
pub(crate) const ALL: &[(&str, TestFn)] = &[
    ("grpc_clients_survive_dead_replicas_go", |it| {
        survive_dead_replicas(it, GO)
    }),
    ("grpc_clients_survive_dead_replicas_python", |it| {
        survive_dead_replicas(it, PYTHON)
    }),
    ("grpc_clients_survive_dead_replicas_node", |it| {
        survive_dead_replicas(it, NODE)
    }),
    ("grpc_clients_of_all_kinds_move_in_a_rolling_drain", |it| {
        move_in_a_rolling_drain(it, &[GO, PYTHON, NODE])
    }),
];

/// A kind of client, and how its program is built.
type Kind = (&'static str, fn() -> Result<Box<dyn Program>>);

const JAVA: Kind = ("java", || Ok(Box::new(EndpointJava::build_grpc("5.2.0")?)));
const GO: Kind = ("go", || Ok(Box::new(Go::build_grpc()?)));
const PYTHON: Kind = ("python", || Ok(Box::new(Python::grpc()?)));
const NODE: Kind = ("node", || Ok(Box::new(Node::build()?)));

/// How soon both must work again after the replica that they used was killed.
const LIMIT: Duration = Duration::from_secs(10);

/// For how long messages are sent after it.
const FLOW: Duration = Duration::from_secs(12);

/// By then the balancer has found a replica that has started.
const FOUND: Duration = Duration::from_secs(3);

/// Between the sends of a client under load.
const PAUSE: Duration = Duration::from_millis(20);

/// Starts a push consumer and a producer of a topic; both work then.
fn start_pair(
    it: &Scenario<'_>,
    program: &dyn Program,
    target: &Target,
    topic: &str,
) -> Result<(JavaClient, JavaClient)> {
    let consumer = it.client("push-consumer").program(program).target(target);
    let consumer = consumer
        .option("topic", topic)
        .option("group", format!("{topic}-group"))
        .start()?;
    let producer = it.client("producer").program(program).target(target);
    let mut producer = producer.option("topics", topic).start()?;
    let bodies = producer.send(topic, "start", 10, &[])?;
    wait_arrived(&[&consumer], &bodies)?;
    Ok((producer, consumer))
}

/// Complaint 30: clients start although one of two replicas is dead. Complaint 7: they resume when
/// the replica that they use is killed, and again when the other one is.
fn survive_dead_replicas(it: &Scenario<'_>, (_, build): Kind) -> Result<()> {
    let mut replicas = replicas(it)?;
    let program = build()?;
    let (topic, target) = (it.topic()?, replicas.target().clone());
    replicas.take(1)?.kill()?;
    let (mut producer, consumer) = start_pair(it, &*program, &target, &topic)?;
    // Both use the replica that is alive.
    for number in 0..2 {
        replicas.start_one(1 - number)?;
        thread::sleep(FOUND);
        replicas.take(number)?.kill()?;
        resume(&mut producer, &consumer, &topic, number)?;
    }
    it.stop([producer, consumer])?;
    // Its log has clients that never left the process before it, which a stop would complain of.
    replicas.take(0)?.kill()?;
    replicas.stop(&[])
}

/// Both replicas are drained and restarted one after the other under load from all of these
/// clients. No client is without a successful send, or without a message, for longer than the
/// limit, and every message that was acknowledged arrives. How many sends failed, and how many
/// messages came more than once, is reported.
fn move_in_a_rolling_drain(it: &Scenario<'_>, kinds: &[Kind]) -> Result<()> {
    let mut replicas = replicas(it)?;
    let target = replicas.target().clone();
    let mut running = Vec::new();
    for (name, build) in kinds {
        let program = build().context(*name)?;
        let topic = it.name(name);
        it.cluster().create_topic(&topic, 1)?;
        let (producer, consumer) = start_pair(it, &*program, &target, &topic)?;
        running.push((*name, topic, producer, consumer));
    }
    let is_over = AtomicBool::new(false);
    let (from, to) = thread::scope(|scope| {
        let mut loads = Vec::new();
        for (_, topic, producer, _) in &mut running {
            let is_over = &is_over;
            loads.push(scope.spawn(move || send_until(producer, topic, is_over)));
        }
        let rolled = roll(&mut replicas);
        is_over.store(true, Ordering::Relaxed);
        for load in loads {
            load.join()
                .map_err(|_| anyhow::anyhow!("a load has panicked"))??;
        }
        rolled
    })?;
    let mut slow = Vec::new();
    let mut clients = Vec::new();
    for (name, _, producer, consumer) in running {
        let sent = producer.sent();
        let bodies: Vec<String> = sent.iter().map(|sent| sent.body.clone()).collect();
        wait_arrived(&[&consumer], &bodies).context(name)?;
        let received = consumer.received();
        unharmed(&received)?;
        let different: BTreeSet<&String> = received.iter().map(|one| &one.body).collect();
        let pauses = [
            longest_pause(sent.iter().map(|sent| sent.at).collect(), from, to),
            longest_pause(received.iter().map(|one| one.at).collect(), from, to),
        ];
        report(&format!(
            "{name}: {} sends, {} failed, the longest pause {} ms; {} messages came, {} of them \
             again, the longest pause {} ms",
            sent.len(),
            producer.send_failures().len(),
            pauses[0],
            received.len(),
            received.len() - different.len(),
            pauses[1],
        ));
        if pauses
            .iter()
            .any(|pause| u128::from(*pause) > LIMIT.as_millis())
        {
            slow.push((name, pauses));
        }
        clients.extend([producer, consumer]);
    }
    ensure!(slow.is_empty(), "longer than {LIMIT:?}: {slow:?}");
    it.stop(clients)?;
    replicas.stop(&[])
}

/// Drains and restarts one replica after the other; returns from when to when, in milliseconds
/// since the epoch.
fn roll(replicas: &mut Replicas) -> Result<(u64, u64)> {
    thread::sleep(FOUND);
    let from = now_ms();
    for number in 0..2 {
        let drained = replicas.take(number)?.drain(&[]);
        drained.with_context(|| format!("replica {number}"))?;
        replicas.start_one(number)?;
        thread::sleep(FLOW);
    }
    Ok((from, now_ms()))
}

/// Sends one message after the other.
fn send_until(producer: &mut JavaClient, topic: &str, is_over: &AtomicBool) -> Result<()> {
    let mut nth = 0;
    while !is_over.load(Ordering::Relaxed) {
        let name = format!("flow-{nth}");
        nth += 1;
        producer.run("send", &[("topic", topic), ("name", &name)])?;
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Sends one message after the other. From the limit on, no send may fail; one that was sent after
/// the replica's end must have arrived by then, and all that were acknowledged arrive.
fn resume(
    producer: &mut JavaClient,
    consumer: &JavaClient,
    topic: &str,
    number: usize,
) -> Result<()> {
    let killed = Instant::now();
    let prefix = format!("without-{number}-");
    let (mut first_sent, mut first_received, mut nth) = (None, None, 0);
    while killed.elapsed() < FLOW {
        let (sent, failed) = (producer.sent().len(), producer.send_failures().len());
        let name = format!("{prefix}{nth}");
        nth += 1;
        let begun = killed.elapsed();
        producer.run("send", &[("topic", topic), ("name", &name)])?;
        if producer.sent().len() > sent {
            first_sent.get_or_insert(killed.elapsed());
        }
        let failures = producer.send_failures();
        let new = failures.iter().skip(failed).collect::<Vec<_>>();
        ensure!(begun < LIMIT || new.is_empty(), "after {begun:?}: {new:?}");
        let received = consumer.received();
        if received.iter().any(|one| one.body.starts_with(&prefix)) {
            first_received.get_or_insert(killed.elapsed());
        }
        thread::sleep(PAUSE);
    }
    let failed = producer.send_failures().len();
    report(&format!(
        "without replica {number}: the first of {nth} sends has succeeded after {first_sent:.1?}, \
         its message arrived after {first_received:.1?}, {failed} have failed so far"
    ));
    for first in [first_sent, first_received] {
        ensure!(first.is_some_and(|first| first < LIMIT), "{first:?}");
    }
    let sent: Vec<String> = producer.sent().into_iter().map(|one| one.body).collect();
    wait_arrived(&[consumer], &sent)
}
