//! Messages that flow while something breaks, and what is found of them afterwards.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{of_broker, unharmed, wait_arrived_within},
    java_client::{JavaClient, SendFailed, Sent},
    raw::RawConnection,
    scenario::Scenario,
    suite::report,
    wait::{now_ms, wait_until},
};
use remoting_codec::ResponseCode;

use crate::senders::send;

/// Between two sends of one producer.
const PAUSE_MS: &str = "10";
/// A client asks for a route every 30 s; twice that, and the time a broker takes to start on a busy
/// machine.
pub(crate) const RECOVERY_LIMIT: Duration = Duration::from_secs(120);
/// By when a proxy has noticed that a broker was killed, on a busy machine.
const NOTICED_MS: u64 = 100;

/// Producers that send all the time, one message after the other and without waiting, and a
/// consumer of all of it. All have their default settings.
pub(crate) struct Flow {
    pub(crate) topic: String,
    sync: JavaClient,
    asynchronous: JavaClient,
    pub(crate) consumer: JavaClient,
}

/// When something was taken away: the moments before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Struck {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// What became of the sends.
#[derive(Debug)]
pub(crate) struct Found {
    sync: Vec<SendFailed>,
    asynchronous: Vec<SendFailed>,
    /// For each asynchronous send, when it was under way.
    under_way: Vec<(u64, u64)>,
}

impl Flow {
    /// Starts them, and waits until every broker has had messages of each producer.
    pub(crate) fn start(it: &Scenario<'_>) -> Result<Self> {
        wait_at_ease(it)?;
        let topic = it.topic()?;
        let consumer = it.push_consumer(&topic).start()?;
        let mut sync = it.producer().start()?;
        let group = it.name("asynchronous");
        let mut asynchronous = it.producer().option("group", group).start()?;
        for (producer, mode) in [(&mut sync, "sync"), (&mut asynchronous, "async")] {
            let options = [
                ("topic", topic.as_str()),
                ("name", mode),
                ("mode", mode),
                ("pause-ms", PAUSE_MS),
            ];
            producer.run("start-sending", &options)?;
        }
        let flow = Self {
            topic,
            sync,
            asynchronous,
            consumer,
        };
        for broker in it.cluster().brokers() {
            flow.wait_sent(broker.name(), 100)?;
        }
        Ok(flow)
    }

    /// Waits until each producer has had this many more messages stored for queues of the broker.
    pub(crate) fn wait_sent(&self, broker: &str, more: usize) -> Result<()> {
        for producer in [&self.sync, &self.asynchronous] {
            let before = of_broker(&producer.sent(), broker).len();
            wait_until(
                &format!("{more} more messages to {broker}"),
                RECOVERY_LIMIT,
                || Ok((of_broker(&producer.sent(), broker).len() >= before + more).then_some(())),
            )?;
        }
        Ok(())
    }

    /// Waits until the consumer has had this many more messages out of queues of the broker. It
    /// finds that a broker is back when it asks for its route again, as producers do, and at
    /// another time.
    pub(crate) fn wait_received(&self, broker: &str, more: usize) -> Result<()> {
        let prefix = format!("{broker}:");
        let count = || {
            let received = self.consumer.received().into_iter();
            received
                .filter(|message| message.queue.starts_with(&prefix))
                .count()
        };
        let before = count();
        wait_until(
            &format!("{more} more messages out of {broker}"),
            RECOVERY_LIMIT,
            || Ok((count() >= before + more).then_some(())),
        )
    }

    /// Everything that was acknowledged so far.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let both = [&self.sync, &self.asynchronous];
        both.iter().flat_map(|producer| producer.sent()).collect()
    }

    /// The longest time in that span in which the consumer got nothing from queues of that broker.
    pub(crate) fn longest_pause_ms(&self, broker: &str, from: u64, to: u64) -> u64 {
        let prefix = format!("{broker}:");
        let received = self.consumer.received().into_iter();
        let mut times: Vec<u64> = received
            .filter(|message| message.queue.starts_with(&prefix))
            .map(|message| message.at)
            .filter(|at| (from..=to).contains(at))
            .chain([to])
            .collect();
        times.sort_unstable();
        let mut last = from;
        let pauses = times
            .into_iter()
            .map(|at| at - std::mem::replace(&mut last, at));
        pauses.max().unwrap_or_default()
    }

    /// Ends the sending and waits until every acknowledged message has arrived. Returns what was
    /// found.
    pub(crate) fn stop(mut self, it: &Scenario<'_>) -> Result<Found> {
        for producer in [&mut self.sync, &mut self.asynchronous] {
            producer.run("stop-sending", &[])?;
        }
        let sent: Vec<String> = self.sent().into_iter().map(|sent| sent.body).collect();
        wait_arrived_within(RECOVERY_LIMIT, &[&self.consumer], &sent)?;
        let received = self.consumer.received();
        unharmed(&received)?;
        let distinct: BTreeSet<&str> = received.iter().map(|one| one.body.as_str()).collect();
        let found = Found {
            sync: self.sync.send_failures(),
            asynchronous: self.asynchronous.send_failures(),
            under_way: under_way(&self.asynchronous),
        };
        report(&format!(
            "{}: {} messages acknowledged and all of them consumed, {} twice; {} synchronous and {} asynchronous sends failed",
            self.topic,
            sent.len(),
            received.len() - distinct.len(),
            found.sync.len(),
            found.asynchronous.len(),
        ));
        it.stop([self.sync, self.asynchronous, self.consumer])?;
        Ok(found)
    }
}

/// Waits until every broker takes messages without delay: one with a slave waits for that, which
/// may be copying yet.
fn wait_at_ease(it: &Scenario<'_>) -> Result<()> {
    const PROMPT_MS: u64 = 300;
    let topic = it.name("settling");
    it.cluster().create_topic(&topic, 1)?;
    for broker in it.cluster().brokers() {
        let mut prompt = 0;
        wait_until("brokers to be at ease", RECOVERY_LIMIT, || {
            let begun = now_ms();
            let mut connection = RawConnection::connect(broker.address())?;
            let answer = connection.call(&send(1, &topic, broker.name(), 100))?;
            let is_prompt = answer.code == ResponseCode::SUCCESS.0 && now_ms() - begun < PROMPT_MS;
            prompt = if is_prompt { prompt + 1 } else { 0 };
            Ok((prompt == 5).then_some(()))
        })?;
    }
    Ok(())
}

fn under_way(producer: &JavaClient) -> Vec<(u64, u64)> {
    let sent = producer.sent().into_iter();
    let failed = producer.send_failures().into_iter();
    let sent = sent.map(|sent| (sent.started_at, sent.at));
    sent.chain(failed.map(|failed| (failed.started_at, failed.at)))
        .collect()
}

impl Found {
    /// Fails when any send has failed.
    pub(crate) fn none_failed(&self) -> Result<()> {
        let (sync, asynchronous) = (&self.sync, &self.asynchronous);
        ensure!(sync.is_empty(), "synchronous sends failed: {sync:?}");
        let (first, count) = (asynchronous.first(), asynchronous.len());
        ensure!(count == 0, "{count} asynchronous sends failed: {first:?}");
        Ok(())
    }

    /// Fails when a synchronous send has failed, or another that was not under way when a broker
    /// was struck.
    pub(crate) fn only_outstanding_failed(&self, struck: &[Struck]) -> Result<()> {
        let sync = &self.sync;
        ensure!(sync.is_empty(), "synchronous sends failed: {sync:?}");
        let excused = |from: u64, to: u64| {
            let mut struck = struck.iter();
            struck.any(|moment| from <= moment.to + NOTICED_MS && to >= moment.from)
        };
        let outstanding = self.under_way.iter();
        let outstanding = outstanding.filter(|(from, to)| excused(*from, *to)).count();
        let others: Vec<_> = self
            .asynchronous
            .iter()
            .filter(|failed| !excused(failed.started_at, failed.at))
            .collect();
        let (first, count) = (others.first(), others.len());
        ensure!(
            count == 0,
            "{count} asynchronous sends failed that were not under way: {first:?}"
        );
        report(&format!(
            "of {outstanding} asynchronous sends under way at such a moment, {} failed",
            self.asynchronous.len()
        ));
        Ok(())
    }
}
