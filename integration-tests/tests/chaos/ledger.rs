//! What was acknowledged, and what was consumed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{of_broker, unharmed, wait_arrived_within},
    java_client::JavaClient,
    rocketmq::QUEUES_PER_BROKER,
    scenario::Scenario,
    suite::report,
    target::Target,
    wait::{now_ms, wait_until},
};

/// Between two sends of one producer.
const PAUSE_MS: &str = "10";
/// Longer than a broker is frozen: directly, too, a send succeeds then.
const SEND_TIMEOUT_MS: u64 = 10_000;
/// How soon members hold queues.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A consumer that has missed something looks again after half a minute; a broker's lock lives for
/// a minute.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(150);

/// Producers and the members of a group, all the time at work.
pub(crate) struct Ledger {
    producers: Vec<JavaClient>,
    members: Vec<JavaClient>,
}

impl Ledger {
    pub(crate) fn open(it: &Scenario<'_>, target: &Target) -> Result<Self> {
        let topic = it.name("topic");
        it.cluster().create_topic(&topic, QUEUES_PER_BROKER)?;
        let member = it.push_consumer(&topic).target(target);
        let members = vec![member.clone().start()?, member.start()?];
        let mut producers = Vec::new();
        for nth in 0..2 {
            let producer = it.producer().target(target);
            let mut producer = producer
                .option("send-timeout-ms", SEND_TIMEOUT_MS)
                .start()?;
            let name = format!("p{nth}");
            let options = [
                ("topic", topic.as_str()),
                ("name", &name),
                ("pause-ms", PAUSE_MS),
            ];
            producer.run("start-sending", &options)?;
            producers.push(producer);
        }
        let ledger = Self { producers, members };
        ledger.wait_flowing(it, 0, START_LIMIT)?;
        Ok(ledger)
    }

    /// Waits until messages that were sent after that moment have been stored at each broker, and
    /// consumed from it.
    pub(crate) fn wait_flowing(
        &self,
        it: &Scenario<'_>,
        since: u64,
        limit: Duration,
    ) -> Result<()> {
        const ENOUGH: usize = 20;
        let brokers = it.cluster().brokers();
        wait_until("messages to flow over each broker", limit, || {
            let mut sent: Vec<_> = self.producers.iter().flat_map(JavaClient::sent).collect();
            sent.retain(|sent| sent.started_at > since);
            let received: BTreeSet<String> = self
                .members
                .iter()
                .flat_map(JavaClient::received)
                .filter(|one| one.at > since)
                .map(|one| one.body)
                .collect();
            let flows = |broker: &str| {
                let stored = of_broker(&sent, broker).into_iter();
                stored.filter(|body| received.contains(body)).count() >= ENOUGH
            };
            Ok(brokers
                .iter()
                .all(|broker| flows(broker.name()))
                .then_some(()))
        })
    }

    /// Ends the sending, and compares.
    pub(crate) fn close(mut self, it: &Scenario<'_>, blows: usize) -> Result<()> {
        for producer in &mut self.producers {
            producer.run("stop-sending", &[])?;
        }
        let sent = self.producers.iter().flat_map(JavaClient::sent);
        let acknowledged: Vec<String> = sent.map(|sent| sent.body).collect();
        let failures: Vec<_> = self
            .producers
            .iter()
            .flat_map(JavaClient::send_failures)
            .collect();
        let members: Vec<&JavaClient> = self.members.iter().collect();
        let begun = now_ms();
        let arrived = wait_arrived_within(ARRIVAL_LIMIT, &members, &acknowledged);
        let took = now_ms() - begun;
        let mut times = BTreeMap::<String, usize>::new();
        for member in &self.members {
            let received = member.received();
            unharmed(&received)?;
            for message in received {
                *times.entry(message.body).or_default() += 1;
            }
        }
        let lost = acknowledged
            .iter()
            .filter(|body| !times.contains_key(*body));
        let lost = lost.count();
        let twice = times.values().filter(|times| **times > 1).count();
        report(&format!(
            "ledger after {blows} blows: {} acknowledged, {lost} of them never consumed, {twice} consumed more than once, \
             {} sends failed after the clients' own retries; the last was consumed {took} ms after the end",
            acknowledged.len(),
            failures.len()
        ));
        arrived?;
        ensure!(failures.is_empty(), "sends failed: {failures:?}");
        it.stop(self.producers)?;
        it.stop(self.members)
    }
}
