//! Lite topics: many within one topic, to which clients subscribe one by one.

use anyhow::Result;
use integration_tests::{
    delivery::wait_exactly_once,
    rocketmq::{Group, MessageType},
};

use crate::case::{Case, Feature};

pub(crate) const FEATURES: &[Feature] = &[("lite_push", lite_push)];

/// A consumer gets the messages of the lite topics that it has subscribed to.
fn lite_push(case: &Case<'_>) -> Result<()> {
    let topic = case.topic(MessageType::Lite)?;
    let group = case.it.name("group");
    case.it.cluster().create_group(Group {
        lite_topic: Some(&topic),
        ..Group::new(&group)
    })?;
    let consumer = case.consumer("lite-push-consumer", &topic, &group);
    let mut consumer = consumer.start()?;
    for lite_topic in ["red", "blue"] {
        consumer.run("subscribe", &[("lite-topic", lite_topic)])?;
    }
    let mut producer = case.producer(&topic).start()?;
    let options = [("lite-topics", "red,green,blue")];
    let bodies = producer.send(&topic, "m", 12, &options)?;
    let numbered = bodies.into_iter().enumerate();
    let wanted = numbered
        .filter(|(number, _)| number % 3 != 1)
        .map(|(_, body)| body);
    wait_exactly_once(&[&consumer], &wanted.collect::<Vec<_>>())?;
    case.it.stop([producer, consumer])
}
