//! Push consumers to which brokers hand out messages one by one (POP), not queues.

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::{wait_exactly_once, wait_tries},
    pop::{pop_member, pop_topic, start_pop},
    scenario::Scenario,
    suite::TestFn,
};

pub(crate) const TESTS: &[(&str, TestFn)] =
    &[("pop_retry", pop_retry), ("pop_members", pop_members)];

/// Members of one group get each message once between them.
fn pop_members(it: &Scenario<'_>) -> Result<()> {
    let topic = pop_topic(it)?;
    let members = [
        start_pop(&pop_member(it, &topic))?,
        start_pop(&pop_member(it, &topic))?,
    ];
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 100, &[])?;
    wait_exactly_once(&[&members[0], &members[1]], &bodies)?;
    for member in &members {
        ensure!(!member.received().is_empty(), "a member got nothing");
    }
    it.stop(members.into_iter().chain([producer]))
}

/// A message that fails is delivered again.
fn pop_retry(it: &Scenario<'_>) -> Result<()> {
    let topic = pop_topic(it)?;
    let consumer = start_pop(&pop_member(it, &topic).option("fail-times", 1))?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "m", 20, &[])?;
    wait_tries(&consumer, &bodies, 2)?;
    it.stop([producer, consumer])
}
