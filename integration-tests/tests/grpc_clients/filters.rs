//! Subscriptions to a part of a topic.

use anyhow::Result;
use integration_tests::{
    delivery::{exactly_once, wait_exactly_once},
    rocketmq::MessageType,
};

use crate::case::{Case, Feature};

pub(crate) const FEATURES: &[Feature] = &[
    ("push_tag_filter", push_tag_filter),
    ("push_sql_filter", push_sql_filter),
    ("simple_tag_filter", simple_tag_filter),
    ("simple_sql_filter", simple_sql_filter),
];

const COUNT: usize = 30;
/// Every third message is red.
const OPTIONS: [(&str, &str); 2] = [("tags", "red,green,blue"), ("numbered", "true")];
/// Two of three.
const TAGS: &str = "red||blue";
/// The last ten.
const SQL: &str = "number >= 20";

fn has_tag(number: usize) -> bool {
    number % 3 != 1
}

fn is_late(number: usize) -> bool {
    number >= 20
}

fn push_tag_filter(case: &Case<'_>) -> Result<()> {
    push(case, ("tags", TAGS), has_tag)
}

fn push_sql_filter(case: &Case<'_>) -> Result<()> {
    push(case, ("sql", SQL), is_late)
}

fn simple_tag_filter(case: &Case<'_>) -> Result<()> {
    simple(case, ("tags", TAGS), has_tag)
}

fn simple_sql_filter(case: &Case<'_>) -> Result<()> {
    simple(case, ("sql", SQL), is_late)
}

fn push(case: &Case<'_>, filter: (&str, &str), selects: fn(usize) -> bool) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let consumer = case.push_consumer(&topic, &group);
    let consumer = consumer.option(filter.0, filter.1).start()?;
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", COUNT, &OPTIONS)?;
    wait_exactly_once(&[&consumer], &selected(bodies, selects))?;
    case.it.stop([producer, consumer])
}

fn simple(case: &Case<'_>, filter: (&str, &str), selects: fn(usize) -> bool) -> Result<()> {
    let (topic, group) = (case.topic(MessageType::Normal)?, case.group()?);
    let consumer = case.simple_consumer(&topic, &group);
    let mut consumer = consumer.option(filter.0, filter.1).start()?;
    let mut producer = case.producer(&topic).start()?;
    let bodies = producer.send(&topic, "m", COUNT, &OPTIONS)?;
    let wanted = selected(bodies, selects);
    let received = case.receive_and_ack(&mut consumer, wanted.len())?;
    exactly_once(&received, &wanted)?;
    case.it.stop([producer, consumer])
}

fn selected(bodies: Vec<String>, selects: fn(usize) -> bool) -> Vec<String> {
    let numbered = bodies.into_iter().enumerate();
    numbered
        .filter(|(number, _)| selects(*number))
        .map(|(_, body)| body)
        .collect()
}
