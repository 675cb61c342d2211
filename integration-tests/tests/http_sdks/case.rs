//! One feature of one SDK on one way, while it is tried.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use integration_tests::{
    java_client::{JavaClient, Received},
    rocketmq::{Group, MessageType, QUEUES_PER_BROKER},
    scenario::{ClientBuilder, Scenario},
};
use serde::Deserialize;

/// What a feature does.
pub(crate) type FeatureFn = fn(&Case<'_>) -> Result<()>;
/// A feature and its name.
pub(crate) type Feature = (&'static str, FeatureFn);

/// How long a message may take that must arrive.
const LONG_MS: u64 = 45_000;

pub(crate) struct Case<'a> {
    pub(crate) it: Scenario<'a>,
}

/// What a command `receive` or `checks` found out.
#[derive(Debug, Deserialize)]
struct Receipt {
    received: usize,
    errors: Vec<String>,
}

/// What a command `poll` found out.
#[derive(Debug, Deserialize)]
pub(crate) struct Polled {
    pub(crate) count: usize,
    pub(crate) took_ms: u64,
}

impl Case<'_> {
    /// Makes a topic for messages of this type.
    pub(crate) fn topic(&self, of: MessageType) -> Result<String> {
        let topic = self.it.name("topic");
        self.it
            .cluster()
            .create_typed_topic(&topic, of, QUEUES_PER_BROKER)?;
        Ok(topic)
    }

    /// Makes a group as brokers do by themselves.
    pub(crate) fn group(&self) -> Result<String> {
        let name = self.it.name("group");
        self.it.cluster().create_group(Group::new(&name))?;
        Ok(name)
    }

    /// A producer, not yet started. Its group is for transactions.
    pub(crate) fn producer(&self) -> ClientBuilder<'_> {
        let client = self.it.client("producer");
        client.option("group", self.it.name("producers"))
    }

    /// A consumer, not yet started.
    pub(crate) fn consumer(&self, topic: &str, group: &str) -> ClientBuilder<'_> {
        let client = self.it.client("simple-consumer");
        client.option("topic", topic).option("group", group)
    }

    /// Consumes this number of messages, which must arrive, and returns them.
    pub(crate) fn receive(&self, consumer: &mut JavaClient, count: usize) -> Result<Vec<Received>> {
        self.receive_with(consumer, count, LONG_MS, &[])
    }

    /// The same and acknowledges each batch at once.
    pub(crate) fn receive_and_ack(
        &self,
        consumer: &mut JavaClient,
        count: usize,
    ) -> Result<Vec<Received>> {
        let received = self.receive_with(consumer, count, LONG_MS, &[("ack", "true")])?;
        ensure!(received.len() == count, "received only {received:?}");
        Ok(received)
    }

    /// Consumes until there is this number, or as long as this.
    pub(crate) fn receive_with(
        &self,
        consumer: &mut JavaClient,
        count: usize,
        limit_ms: u64,
        more: &[(&str, &str)],
    ) -> Result<Vec<Received>> {
        let before = consumer.received().len();
        let (wanted, limit) = (count.to_string(), limit_ms.to_string());
        let mut options = vec![("count", &*wanted), ("limit-ms", &*limit)];
        options.extend(more);
        let receipt: Receipt = serde_json::from_value(consumer.run("receive", &options)?)?;
        let received = consumer.received().split_off(before);
        ensure!(receipt.received == received.len(), "{receipt:?}");
        ensure!(
            receipt.errors.is_empty(),
            "consuming failed: {:?}",
            receipt.errors
        );
        Ok(received)
    }

    /// That nothing is there to consume, now and for a few seconds.
    pub(crate) fn nothing_more(&self, consumer: &mut JavaClient) -> Result<()> {
        let more = self.receive_with(consumer, 1, 4_000, &[("wait-s", "4")])?;
        ensure!(more.is_empty(), "delivered once more: {more:?}");
        Ok(())
    }

    /// Acknowledges by one request: the messages of these bodies, and these handles. Returns the
    /// codes of the handles that were refused.
    pub(crate) fn ack(
        &self,
        consumer: &mut JavaClient,
        bodies: &[String],
        handles: &[&str],
    ) -> Result<BTreeMap<String, String>> {
        let (names, handles) = (bodies.join(","), handles.join(","));
        let options = [("names", &*names), ("handles", &*handles)];
        let given = options.into_iter().filter(|(_, list)| !list.is_empty());
        let refused = consumer.run("ack", &given.collect::<Vec<_>>())?;
        Ok(serde_json::from_value(refused)?)
    }

    /// Asks once, waiting for this time.
    pub(crate) fn poll(&self, consumer: &mut JavaClient, wait_s: u64) -> Result<Polled> {
        let polled = consumer.run("poll", &[("wait-s", &*wait_s.to_string())])?;
        Ok(serde_json::from_value(polled)?)
    }

    /// Asks for half messages until there were as many as these, and ends each in this way.
    pub(crate) fn checks(
        &self,
        producer: &mut JavaClient,
        topic: &str,
        bodies: &[String],
        verdict: &str,
    ) -> Result<()> {
        let (count, limit) = (bodies.len().to_string(), (2 * LONG_MS).to_string());
        let options = [
            ("topic", topic),
            ("count", &*count),
            ("limit-ms", &*limit),
            ("verdict", verdict),
        ];
        let receipt: Receipt = serde_json::from_value(producer.run("checks", &options)?)?;
        ensure!(receipt.errors.is_empty(), "{receipt:?}");
        let checked = producer.checked();
        for body in bodies {
            let asked = checked.iter().filter(|checked| checked.body == *body);
            ensure!(
                asked.count() == 1,
                "not asked about {body} once: {checked:?}"
            );
        }
        Ok(())
    }
}

/// The one message with this body.
pub(crate) fn one<'a>(received: &'a [Received], body: &str) -> Result<&'a Received> {
    let mut all = received.iter();
    all.find(|message| message.body == body)
        .with_context(|| format!("{body} did not arrive: {received:?}"))
}

/// That a command has failed with this code of the protocol.
pub(crate) fn fails_with<T: std::fmt::Debug>(result: Result<T>, code: &str) -> Result<()> {
    match result {
        Ok(value) => anyhow::bail!("it works, with {value:?}; expected was {code}"),
        Err(e) => {
            let text = format!("{e:#}");
            ensure!(text.contains(&format!("{code}: ")), "not {code}: {text}");
            Ok(())
        }
    }
}
