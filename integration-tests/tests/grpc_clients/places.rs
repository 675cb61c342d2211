//! Namespaces and TLS.

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{wait_exactly_once, wait_tries},
    rocketmq::{Group, MessageType, QUEUES_PER_BROKER},
};

use crate::case::{Case, Feature};

pub(crate) const FEATURES: &[Feature] = &[("namespaces", namespaces), ("tls", tls)];

/// Complaint 20: the same topic and the same group in two namespaces are not the same, for retries
/// either.
fn namespaces(case: &Case<'_>) -> Result<()> {
    const BOTH: [&str; 2] = ["one", "two"];
    let (topic, group) = (case.it.name("topic"), case.it.name("group"));
    let cluster = case.it.cluster();
    let mut clients = Vec::new();
    for namespace in BOTH {
        // As brokers see them.
        let full = format!("{namespace}%{topic}");
        cluster.create_typed_topic(&full, MessageType::Normal, QUEUES_PER_BROKER)?;
        cluster.create_group(Group::new(&format!("{namespace}%{group}")))?;
        let consumer = case.push_consumer(&topic, &group);
        let consumer = consumer.option("namespace", namespace);
        let producer = case.producer(&topic).option("namespace", namespace);
        clients.push((consumer.option("fail-times", 1).start()?, producer.start()?));
    }
    for (namespace, (_, producer)) in BOTH.iter().zip(&mut clients) {
        producer.send(&topic, namespace, 10, &[])?;
    }
    for (namespace, (consumer, _)) in BOTH.iter().zip(&clients) {
        let bodies: Vec<String> = (0..10).map(|i| format!("{namespace}-{i}")).collect();
        wait_tries(consumer, &bodies, 2)?;
        for message in consumer.received() {
            ensure!(message.topic == topic, "topic of {message:?}");
        }
    }
    let clients = clients.into_iter();
    case.it
        .stop(clients.flat_map(|(consumer, producer)| [consumer, producer]))
}

/// Complaint 23: one side over TLS, the other in plain text, on the same port.
fn tls(case: &Case<'_>) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let consumer = case.over_tls(case.push_consumer(&topic, &group)).start()?;
    let mut secured = case.over_tls(case.producer(&topic)).start()?;
    let mut plain = case.producer(&topic).start()?;
    let mut bodies = secured.send(&topic, "secured", 20, &[])?;
    bodies.extend(plain.send(&topic, "plain", 20, &[])?);
    wait_exactly_once(&[&consumer], &bodies)?;
    case.it.stop([secured, plain, consumer])
}
