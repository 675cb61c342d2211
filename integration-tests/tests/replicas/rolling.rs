//! Both replicas are restarted one after the other, as a rolling upgrade does it, under load from
//! clients of several kinds.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{unharmed, wait_arrived},
    go::Go,
    java_client::JavaClient,
    program::Program,
    rocketmq::QUEUES_PER_BROKER,
    scenario::{ClientBuilder, Scenario},
    suite::{TestFn, report},
    wait::wait_until,
};

use crate::replicas;

pub(crate) const TESTS: &[(&str, TestFn)] = &[(
    "rolling_restart_loses_nothing",
    rolling_restart_loses_nothing,
)];

/// A Java client that does not know GO_AWAY.
const OLDER: &str = "4.9.8";

/// How long messages flow before, between and after.
const FLOW: Duration = Duration::from_secs(5);

/// How soon every consumer gets its first message; members share queues a few times before.
const START_LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Older,
    Newest,
    Go,
}

/// With default settings, no send fails and no acknowledged message is left unconsumed. The number
/// of messages that are delivered twice is reported.
fn rolling_restart_loses_nothing(it: &Scenario<'_>) -> Result<()> {
    let mut replicas = replicas(it)?;
    let target = replicas.target().clone();
    let go = Go::build()?;
    let kinds = [Kind::Older, Kind::Newest, Kind::Go];
    let mut running = Vec::new();
    for kind in kinds {
        // A topic and a group for each kind, so that it is seen which kind lost which message.
        let topic = it.name(&format!("{kind:?}"));
        it.cluster().create_topic(&topic, QUEUES_PER_BROKER)?;
        let of_kind = |builder| of_kind(builder, kind, &go).target(&target);
        let group = it.name(&format!("{kind:?}-members"));
        let member = of_kind(it.push_consumer(&topic)).option("group", group);
        let members = [member.clone().start()?, member.start()?];
        let mut producers = Vec::new();
        for number in 0..2 {
            let mut producer = of_kind(it.producer()).start()?;
            let name = format!("{kind:?}{number}");
            let options = [
                ("topic", topic.as_str()),
                ("name", &name),
                ("pause-ms", "5"),
            ];
            producer.run("start-sending", &options)?;
            producers.push(producer);
        }
        running.push((kind, members, producers));
    }
    wait_until("every member to get messages", START_LIMIT, || {
        let mut members = running.iter().flat_map(|(_, members, _)| members);
        Ok(members
            .all(|member| !member.received().is_empty())
            .then_some(()))
    })?;
    thread::sleep(FLOW);
    for number in 0..2 {
        let drained = replicas.take(number)?.drain(&[]);
        drained.with_context(|| format!("replica {number}"))?;
        replicas.start_one(number)?;
        thread::sleep(FLOW);
    }
    let mut failed = Vec::new();
    for (kind, members, mut producers) in running {
        for producer in &mut producers {
            producer.run("stop-sending", &[])?;
        }
        let failures: Vec<_> = producers
            .iter()
            .flat_map(JavaClient::send_failures)
            .collect();
        let sent: Vec<String> = producers
            .iter()
            .flat_map(JavaClient::sent)
            .map(|sent| sent.body)
            .collect();
        wait_arrived(&[&members[0], &members[1]], &sent)
            .with_context(|| format!("messages of {kind:?}"))?;
        let mut times = BTreeMap::<String, usize>::new();
        for member in &members {
            let received = member.received();
            unharmed(&received)?;
            for message in received {
                *times.entry(message.body).or_default() += 1;
            }
        }
        let twice = times.values().filter(|times| **times > 1).count();
        report(&format!(
            "{kind:?}: {} sends, {} of them failed; {twice} messages came more than once",
            sent.len() + failures.len(),
            failures.len()
        ));
        failed.extend(failures);
        it.stop(members)?;
        it.stop(producers)?;
    }
    ensure!(failed.is_empty(), "sends failed: {failed:?}");
    replicas.stop(&[])
}

fn of_kind<'a>(builder: ClientBuilder<'a>, kind: Kind, go: &'a Go) -> ClientBuilder<'a> {
    match kind {
        Kind::Older => builder.version(OLDER),
        Kind::Newest => builder,
        Kind::Go => builder.program(go as &dyn Program),
    }
}
