//! One feature of one client on one way, while it is tried.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{exactly_once, wait_exactly_once},
    java_client::{JavaClient, Received},
    rocketmq::{Group, MessageType, QUEUES_PER_BROKER},
    scenario::{ClientBuilder, Scenario},
};
use serde::Deserialize;

use crate::ways::Kind;

/// What a feature does.
pub(crate) type FeatureFn = fn(&Case<'_>) -> Result<()>;
/// A feature and its name.
pub(crate) type Feature = (&'static str, FeatureFn);

/// How long a message may take that must arrive. A command may take somewhat longer.
pub(crate) const LONG_MS: u64 = 45_000;
/// How long a message is hidden that will be acknowledged. The Java proxy refuses less than ten
/// seconds.
pub(crate) const HIDDEN_MS: u64 = 30_000;

pub(crate) struct Case<'a> {
    pub(crate) it: Scenario<'a>,
    pub(crate) kind: Kind,
    /// Whether the client can be a push consumer.
    pub(crate) has_push: bool,
    /// The file of the authority that has signed the proxies' certificates.
    pub(crate) authority: &'a Path,
}

/// What a command `receive` found out.
#[derive(Debug, Deserialize)]
struct Receipt {
    received: usize,
    errors: Vec<String>,
}

impl Case<'_> {
    /// Makes a topic for messages of this type.
    pub(crate) fn topic(&self, of: MessageType) -> Result<String> {
        self.topic_of(of, QUEUES_PER_BROKER)
    }

    /// Makes a topic with one queue on each broker, so that a client that asks for one queue after
    /// the other, and waits at each, soon asks for the one that has something.
    pub(crate) fn narrow_topic(&self, of: MessageType) -> Result<String> {
        self.topic_of(of, 1)
    }

    fn topic_of(&self, of: MessageType, queues: usize) -> Result<String> {
        let topic = self.it.name("topic");
        self.it.cluster().create_typed_topic(&topic, of, queues)?;
        Ok(topic)
    }

    /// Makes a group as brokers do by themselves.
    pub(crate) fn group(&self) -> Result<String> {
        let name = self.it.name("group");
        self.it.cluster().create_group(Group::new(&name))?;
        Ok(name)
    }

    /// Makes a group whose members get messages in order.
    pub(crate) fn ordered_group(&self) -> Result<String> {
        let name = self.it.name("group");
        let group = Group {
            orderly: true,
            ..Group::new(&name)
        };
        self.it.cluster().create_group(group)?;
        Ok(name)
    }

    /// A producer of this topic, not yet started.
    pub(crate) fn producer(&self, topic: &str) -> ClientBuilder<'_> {
        self.it.client("producer").option("topics", topic)
    }

    /// A push consumer, not yet started.
    pub(crate) fn push_consumer(&self, topic: &str, group: &str) -> ClientBuilder<'_> {
        self.consumer("push-consumer", topic, group)
    }

    /// A consumer that receives when it is ordered to, not yet started.
    pub(crate) fn simple_consumer(&self, topic: &str, group: &str) -> ClientBuilder<'_> {
        self.consumer("simple-consumer", topic, group)
    }

    pub(crate) fn consumer(
        &self,
        role: &'static str,
        topic: &str,
        group: &str,
    ) -> ClientBuilder<'_> {
        let client = self.it.client(role);
        client.option("topic", topic).option("group", group)
    }

    /// Makes a client speak TLS.
    pub(crate) fn over_tls<'b>(&self, client: ClientBuilder<'b>) -> ClientBuilder<'b> {
        client
            .option("tls", true)
            .option("authority", self.authority.display())
    }

    /// Receives this number of messages and returns what has arrived by then.
    pub(crate) fn receive(
        &self,
        consumer: &mut JavaClient,
        count: usize,
        hidden_ms: u64,
    ) -> Result<Vec<Received>> {
        self.receive_with(consumer, count, hidden_ms, &[])
    }

    /// The same and acknowledges each batch at once.
    pub(crate) fn receive_and_ack(
        &self,
        consumer: &mut JavaClient,
        count: usize,
    ) -> Result<Vec<Received>> {
        self.receive_with(consumer, count, HIDDEN_MS, &[("ack", "true")])
    }

    fn receive_with(
        &self,
        consumer: &mut JavaClient,
        count: usize,
        hidden_ms: u64,
        more: &[(&str, &str)],
    ) -> Result<Vec<Received>> {
        let (received, errors) = self.poll_with(consumer, count, hidden_ms, LONG_MS, more)?;
        ensure!(
            received.len() == count,
            "received only {received:?}, and the errors {errors:?}"
        );
        Ok(received)
    }

    /// Receives for as long as this, or until there is this number.
    pub(crate) fn poll(
        &self,
        consumer: &mut JavaClient,
        count: usize,
        hidden_ms: u64,
        limit_ms: u64,
    ) -> Result<Vec<Received>> {
        let (received, _) = self.poll_with(consumer, count, hidden_ms, limit_ms, &[])?;
        Ok(received)
    }

    /// What has arrived, and the errors that are no failure.
    fn poll_with(
        &self,
        consumer: &mut JavaClient,
        count: usize,
        hidden_ms: u64,
        limit_ms: u64,
        more: &[(&str, &str)],
    ) -> Result<(Vec<Received>, Vec<String>)> {
        let before = consumer.received().len();
        let (count, hidden) = (count.to_string(), hidden_ms.to_string());
        let limit = limit_ms.to_string();
        let mut options = vec![
            ("count", &*count),
            ("invisible-ms", &*hidden),
            ("limit-ms", &*limit),
        ];
        options.extend(more);
        let receipt: Receipt = serde_json::from_value(consumer.run("receive", &options)?)?;
        let received = consumer.received().split_off(before);
        ensure!(receipt.received == received.len(), "{receipt:?}");
        // The Java proxy answers with an error until it has a client's settings.
        ensure!(
            receipt.errors.is_empty() || self.kind == Kind::JavaProxy,
            "receiving failed: {:?}",
            receipt.errors
        );
        Ok((received, receipt.errors))
    }

    /// Starts a consumer that shows what a producer has brought about: a push consumer, and a
    /// simple one where the client has none. It may ask for one queue after the other.
    pub(crate) fn witness(&self, topic: &str, group: &str) -> Result<JavaClient> {
        match self.has_push {
            true => self.push_consumer(topic, group).start(),
            false => self.simple_consumer(topic, group).start(),
        }
    }

    /// Waits until a witness has these messages, each of them once.
    pub(crate) fn wait_witnessed(&self, witness: &mut JavaClient, bodies: &[String]) -> Result<()> {
        if self.has_push {
            return wait_exactly_once(&[witness], bodies);
        }
        self.receive_and_ack(witness, bodies.len())?;
        exactly_once(&witness.received(), bodies)
    }

    /// Waits for this time and returns everything that a witness has received by then.
    pub(crate) fn witnessed_after(
        &self,
        witness: &mut JavaClient,
        time: Duration,
    ) -> Result<Vec<Received>> {
        match self.has_push {
            true => thread::sleep(time),
            // Ends at the first message too many.
            false => drop(self.poll(witness, 1, HIDDEN_MS, 1_000 * time.as_secs())?),
        }
        Ok(witness.received())
    }

    /// Acknowledges everything that was received.
    pub(crate) fn ack_all(&self, consumer: &mut JavaClient) -> Result<usize> {
        let count = consumer.run("ack", &[])?;
        Ok(serde_json::from_value(count)?)
    }
}

/// The one message with this body.
pub(crate) fn one<'a>(received: &'a [Received], body: &str) -> Result<&'a Received> {
    let mut all = received.iter();
    all.find(|message| message.body == body)
        .with_context(|| format!("{body} did not arrive: {received:?}"))
}
