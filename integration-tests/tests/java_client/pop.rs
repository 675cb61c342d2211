//! What POP hands out for a member that is dead.

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{wait_arrived, wait_exactly_once},
    pop::{pop_member, pop_topic, start_pop},
    scenario::Scenario,
    suite::TestFn,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[(
    "pop_member_dies_while_it_waits",
    pop_member_dies_while_it_waits,
)];

/// How soon what was handed out for a member that is dead must come to another: much sooner than it
/// is visible by itself.
const REDELIVERY_MS: u64 = 5_000;

fn pop_member_dies_while_it_waits(it: &Scenario<'_>) -> Result<()> {
    let topic = pop_topic(it)?;
    let survivor = start_pop(&pop_member(it, &topic))?;
    let victim = start_pop(&pop_member(it, &topic))?;
    let mut producer = it.producer().start()?;
    let before = producer.send(&topic, "before", 40, &[])?;
    wait_exactly_once(&[&survivor, &victim], &before)?;
    // Both wait for more now.
    it.kill(victim)?;
    let bodies = producer.send(&topic, "after", 40, &[])?;
    wait_arrived(&[&survivor], &bodies)?;
    let sent = producer.sent();
    for message in survivor.received() {
        let begun = sent
            .iter()
            .find(|sent| sent.body == message.body)
            .context("arrived before it was sent")?;
        let took = message.at.saturating_sub(begun.at);
        ensure!(took <= REDELIVERY_MS, "{} took {took} ms", message.body);
    }
    it.stop([producer, survivor])
}
