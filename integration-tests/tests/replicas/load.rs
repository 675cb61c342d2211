//! Connections that break while messages flow: those of a replica that is killed, and the same
//! directly.

use std::{collections::BTreeSet, thread, time::Duration};

use anyhow::{Result, ensure};
use integration_tests::{
    compare::BROKERS,
    delivery::{DELIVERY_LIMIT, in_queue_order, unharmed, wait_arrived, wait_arrived_within},
    go::Go,
    java_client::{JavaClient, Received},
    program::Program,
    python::Python,
    replicas::Replicas,
    rocketmq::{Cluster, QUEUES_PER_BROKER},
    scenario::{ClientBuilder, Scenario},
    suite::{TestFn, report},
    target::Target,
    wait::{now_ms, wait_until},
};

use crate::replicas;

/// What clients do when their connections break. Each kind is tried with a replica that dies, and
/// directly: what is not as it should be must be so there, too.
#[derive(Clone, Copy, Debug)]
struct Kind {
    client: Client,
    /// How soon consumers go on.
    limit: Duration,
    /// Whether members that are orderly wait for each other's locks.
    locks: bool,
    /// Whether a member may stop consuming for good, so that another must take over its queues.
    hangs: bool,
}

#[derive(Clone, Copy, Debug)]
enum Client {
    Java(&'static str),
    Go,
    Python,
}

const JAVA_5_5_0: Kind = kind(Client::Java("5.5.0"), LIMIT, true);
const JAVA_5_3_3: Kind = kind(Client::Java("5.3.3"), LIMIT, true);
const JAVA_5_0_0: Kind = kind(Client::Java("5.0.0"), DEAF_LIMIT, true);
const JAVA_4_9_8: Kind = kind(Client::Java("4.9.8"), DEAF_LIMIT, true);
const JAVA_4_9_3: Kind = kind(Client::Java("4.9.3"), DEAF_LIMIT, true);
const JAVA_4_5_2: Kind = kind(Client::Java("4.5.2"), DEAF_LIMIT, true);
/// It unlocks no queue that it hands over: 75 s after connections broke, messages came to two
/// members directly, too.
const GO: Kind = kind(Client::Go, DEAF_LIMIT, false);
/// After a rebalance that took a queue from a member and gave it back, the C++ library may wait for
/// ever for a pull that it has dropped ("has unfinished pullMsgEvent" in its log, 20 times a
/// second).
const PYTHON: Kind = Kind {
    hangs: true,
    ..kind(Client::Python, DEAF_LIMIT, false)
};

const fn kind(client: Client, limit: Duration, locks: bool) -> Kind {
    Kind {
        client,
        limit,
        locks,
        hangs: false,
    }
}

impl Kind {
    fn orderly_limit(self) -> Duration {
        if self.limit == DEAF_LIMIT && self.locks {
            DEAF_ORDERLY_LIMIT
        } else {
            self.limit
        }
    }
}

/// In a quick run.
pub(crate) const QUICK: &[(&str, TestFn)] = &[
    ("replica_dies_under_load_java_5_5_0", |it| {
        replica_dies(it, JAVA_5_5_0)
    }),
    ("replica_dies_under_load_java_4_9_3", |it| {
        replica_dies(it, JAVA_4_9_3)
    }),
];

/// With all clients.
pub(crate) const ALL: &[(&str, TestFn)] = &[
    ("replica_dies_under_load_java_5_3_3", |it| {
        replica_dies(it, JAVA_5_3_3)
    }),
    ("replica_dies_under_load_java_5_0_0", |it| {
        replica_dies(it, JAVA_5_0_0)
    }),
    ("replica_dies_under_load_java_4_9_8", |it| {
        replica_dies(it, JAVA_4_9_8)
    }),
    ("replica_dies_under_load_java_4_5_2", |it| {
        replica_dies(it, JAVA_4_5_2)
    }),
    ("replica_dies_under_load_go", |it| replica_dies(it, GO)),
    ("replica_dies_under_load_python", |it| {
        replica_dies(it, PYTHON)
    }),
    ("direct_connections_break_java_5_5_0", |it| {
        connections_break(it, JAVA_5_5_0)
    }),
    ("direct_connections_break_java_4_9_3", |it| {
        connections_break(it, JAVA_4_9_3)
    }),
    ("direct_connections_break_java_5_3_3", |it| {
        connections_break(it, JAVA_5_3_3)
    }),
    ("direct_connections_break_java_5_0_0", |it| {
        connections_break(it, JAVA_5_0_0)
    }),
    ("direct_connections_break_java_4_9_8", |it| {
        connections_break(it, JAVA_4_9_8)
    }),
    ("direct_connections_break_java_4_5_2", |it| {
        connections_break(it, JAVA_4_5_2)
    }),
    ("direct_connections_break_go", |it| {
        connections_break(it, GO)
    }),
    ("direct_connections_break_python", |it| {
        connections_break(it, PYTHON)
    }),
];

/// How soon clients must continue after a replica has left.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// The same for consumers that do not hear of the end of a connection: a pull that was on it is
/// given up after the 30 s that any pull may take (Java before 5.1.3 overrides no
/// `channelInactive`).
const DEAF_LIMIT: Duration = Duration::from_secs(40);
/// The same for orderly ones. Such a member finds itself off the group's list and gives its queues
/// up, another takes them, and both meet again at the next rebalance (20 s); what is locked then is
/// pulled after the next round of locks (20 s).
const DEAF_ORDERLY_LIMIT: Duration = Duration::from_secs(80);
/// A client that got a message so recently has continued.
const RECENTLY_MS: u64 = 2000;
/// How long messages flow before connections break, and after clients must have continued.
const FLOW: Duration = Duration::from_secs(5);
const PAUSE_MS: &str = "5";

/// What clients are connected to, and lose connections to.
enum Place<'a> {
    Replicas(Box<Replicas>),
    Brokers(&'a Cluster),
}

impl Place<'_> {
    fn target(&self) -> &Target {
        match self {
            Self::Replicas(replicas) => replicas.target(),
            Self::Brokers(cluster) => cluster.target(),
        }
    }

    fn strike(&mut self, kind: Kind) -> Result<()> {
        match self {
            Self::Replicas(replicas) => return replicas.take(0)?.kill(),
            // Members that lose all connections at the same time do not take each other's queues,
            // in which case these break the order.
            Self::Brokers(cluster) if !kind.locks => cluster.disconnect_half(),
            Self::Brokers(cluster) => cluster.disconnect(),
        }
        Ok(())
    }
}

fn replica_dies(it: &Scenario<'_>, kind: Kind) -> Result<()> {
    let topic = it.topic()?;
    let mut place = Place::Replicas(Box::new(replicas(it)?));
    let found = break_under_load(it, &topic, kind, &mut place)?;
    report(&format!("{:?}, a replica killed: {found:?}", kind.client));
    found.judge(kind)?;
    match place {
        Place::Replicas(replicas) => replicas.stop(&[]),
        Place::Brokers(_) => Ok(()),
    }
}

/// What a client is excused for when a replica dies happens here, too.
fn connections_break(it: &Scenario<'_>, kind: Kind) -> Result<()> {
    let cluster = Cluster::start_with_fronts(it.java(), &it.dir("cluster")?, &BROKERS)?;
    let topic = it.name("topic");
    cluster.create_topic(&topic, QUEUES_PER_BROKER)?;
    let found = break_under_load(it, &topic, kind, &mut Place::Brokers(&cluster))?;
    report(&format!("{:?}, directly: {found:?}", kind.client));
    ensure!(
        kind.limit == LIMIT
            || !kind.locks
            || found.longest_pause_ms.max(found.longest_orderly_pause_ms) > millis(LIMIT),
        "its consumers go on within {LIMIT:?} and need not be excused"
    );
    found.judge(kind)?;
    cluster.stop()
}

/// How clients went on.
#[derive(Debug, Default)]
struct Found {
    /// The longest time in which a concurrent consumer got nothing.
    longest_pause_ms: u64,
    /// The same of an orderly one.
    longest_orderly_pause_ms: u64,
    /// Messages that came to both orderly members, or to one of them out of order.
    lock_errors: Vec<String>,
    /// A member has stopped consuming for good.
    hung: bool,
}

impl Found {
    fn judge(&self, kind: Kind) -> Result<()> {
        if kind.hangs {
            // Whether it does is a matter of moments; that nothing was lost has been seen.
            return Ok(());
        }
        for (which, longest, limit) in [
            ("a concurrent", self.longest_pause_ms, kind.limit),
            (
                "an orderly",
                self.longest_orderly_pause_ms,
                kind.orderly_limit(),
            ),
        ] {
            ensure!(
                longest <= millis(limit),
                "{which} consumer paused for {longest} ms, and may for {limit:?}"
            );
        }
        ensure!(
            !kind.locks || self.lock_errors.is_empty(),
            "{:?}",
            self.lock_errors
        );
        Ok(())
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

/// Groups of two members, concurrent and orderly, and two producers, all of one kind of client.
/// Producers must go on within the limit, and no message that was acknowledged may be lost; the
/// rest is for the caller to judge.
fn break_under_load(
    it: &Scenario<'_>,
    topic: &str,
    kind: Kind,
    place: &mut Place<'_>,
) -> Result<Found> {
    let program: Option<Box<dyn Program>> = match kind.client {
        Client::Java(_) => None,
        Client::Go => Some(Box::new(Go::build()?)),
        Client::Python => Some(Box::new(Python::rocketmq()?)),
    };
    let target = place.target().clone();
    let member = of_kind(it.push_consumer(topic), kind, program.as_deref()).target(&target);
    let members = [member.clone().start()?, member.clone().start()?];
    let orderly = member
        .option("group", it.name("orderly"))
        .option("orderly", true);
    let orderly = [orderly.clone().start()?, orderly.start()?];
    let producer = of_kind(it.producer(), kind, program.as_deref()).target(&target);
    let mut producers = [producer.clone().start()?, producer.start()?];
    for (number, producer) in producers.iter_mut().enumerate() {
        let name = number.to_string();
        let options = [("topic", topic), ("name", &name), ("pause-ms", PAUSE_MS)];
        producer.run("start-sending", &options)?;
    }
    let all: Vec<&JavaClient> = members.iter().chain(&orderly).collect();
    // Members in Go give a queue up without unlocking it, and the broker keeps the lock for another
    // minute.
    wait_until("every member to get messages", 2 * DELIVERY_LIMIT, || {
        let each = all.iter().all(|member| !member.received().is_empty());
        Ok(each.then_some(()))
    })?;
    thread::sleep(FLOW);
    let from = now_ms();
    place.strike(kind)?;
    thread::sleep(kind.limit.max(LIMIT) + FLOW);
    let goes_on = |member: &&JavaClient| {
        let since = now_ms() - RECENTLY_MS;
        member.received().iter().any(|message| message.at > since)
    };
    if !kind.hangs && !all.iter().all(goes_on) {
        // How long that took is judged below.
        let limit = kind.orderly_limit();
        wait_until("every member to go on", limit, || {
            Ok(all.iter().all(goes_on).then_some(()))
        })?;
        thread::sleep(FLOW);
    }
    let to = now_ms();
    for producer in &mut producers {
        producer.run("stop-sending", &[])?;
    }

    let limit_ms = millis(LIMIT);
    for producer in &producers {
        let times = producer.sent().iter().map(|sent| sent.at).collect();
        let longest = longest_pause(times, from, to);
        ensure!(longest <= limit_ms, "a producer paused for {longest} ms");
        let failures = producer.send_failures().into_iter();
        let late: Vec<_> = failures
            .filter(|failed| !(from..from + limit_ms).contains(&failed.at))
            .collect();
        ensure!(late.is_empty(), "sends failed: {late:?}");
    }
    let sent = producers.iter().flat_map(JavaClient::sent);
    let acknowledged: Vec<String> = sent.map(|sent| sent.body).collect();
    let mut found = Found::default();
    for (group, name) in [(members, "consumers"), (orderly, "orderly")] {
        let arrived = wait_arrived(&[&group[0], &group[1]], &acknowledged);
        let received = group.each_ref().map(JavaClient::received);
        for received in &received {
            unharmed(received)?;
            let times = received.iter().map(|message| message.at).collect();
            let longest = longest_pause(times, from, to);
            let of_group = match name {
                "orderly" => &mut found.longest_orderly_pause_ms,
                _ => &mut found.longest_pause_ms,
            };
            *of_group = longest.max(*of_group);
        }
        if name == "orderly" {
            found.lock_errors = lock_errors(&received, from);
        }
        if !kind.hangs {
            arrived?;
            it.stop(group)?;
            continue;
        }
        // One that hangs does not stop either.
        group.into_iter().try_for_each(|member| it.kill(member))?;
        if arrived.is_err() {
            found.hung = true;
            let heir = of_kind(it.push_consumer(topic), kind, program.as_deref());
            let heir = heir.target(&target).option("group", it.name(name));
            let heir = heir.option("orderly", name == "orderly").start()?;
            let came: BTreeSet<&String> = received.iter().flatten().map(|m| &m.body).collect();
            let left = acknowledged.iter().filter(|body| !came.contains(body));
            let left: Vec<String> = left.cloned().collect();
            // The locks of those that were killed are theirs for a minute.
            wait_arrived_within(2 * DELIVERY_LIMIT, &[&heir], &left)?;
            it.kill(heir)?;
        }
    }
    it.stop(producers)?;
    Ok(found)
}

fn of_kind<'a>(
    builder: ClientBuilder<'a>,
    kind: Kind,
    program: Option<&'a dyn Program>,
) -> ClientBuilder<'a> {
    match (program, kind.client) {
        (Some(program), _) => builder.program(program),
        (None, Client::Java(version)) => builder.version(version),
        (None, _) => builder,
    }
}

/// The longest time without anything between two moments.
pub(crate) fn longest_pause(mut times: Vec<u64>, from: u64, to: u64) -> u64 {
    times.retain(|at| (from..to).contains(at));
    times.extend([from, to]);
    times.sort_unstable();
    let pauses = times.windows(2).filter_map(|pair| match pair {
        [first, second] => Some(second - first),
        _ => None,
    });
    pauses.max().unwrap_or_default()
}

/// Every queue keeps its order at each member, and no message is delivered to two members.
fn lock_errors(orderly: &[Vec<Received>], from: u64) -> Vec<String> {
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for received in orderly {
        // Python's library does not return a message's broker, so that no order can be checked.
        if !received
            .iter()
            .any(|message| message.queue.starts_with('?'))
        {
            errors.extend(in_queue_order(received).err().map(|e| format!("{e:#}")));
        }
        for message in received {
            if !seen.insert((&message.queue, message.offset, &message.id)) {
                let after = message.at.saturating_sub(from);
                errors.push(format!(
                    "{} of {} came to both members, {after} ms after the break",
                    message.offset, message.queue
                ));
            }
        }
    }
    errors
}
