//! Judging how the members of a group share the queues of a topic.

use std::time::Duration;

use anyhow::Result;

use crate::{
    delivery::DELIVERY_LIMIT,
    java_client::{Event, JavaClient},
    scenario::Scenario,
    wait::wait_until,
};

/// Waits until the consumer holds this many queues.
///
/// # Errors
/// When it does not.
pub fn wait_assigned(consumer: &mut JavaClient, queues: usize) -> Result<()> {
    consumer.wait_for("its queues", DELIVERY_LIMIT, |events| {
        let last = events.iter().rev().find_map(|event| match event {
            Event::Assignment(assignment) => Some(assignment.queues.len()),
            _ => None,
        });
        (last == Some(queues)).then_some(())
    })
}

/// Waits until the members hold all queues of the topic, each queue once, evenly.
///
/// # Errors
/// When they do not within the limit.
pub fn wait_shared(
    it: &Scenario<'_>,
    topic: &str,
    members: &[&JavaClient],
    limit: Duration,
) -> Result<()> {
    let all = it.cluster().queues(topic)?;
    let held = || {
        members
            .iter()
            .map(|member| member.assignment())
            .collect::<Vec<_>>()
    };
    let shared = wait_until("the members to share the queues", limit, || {
        let held = held();
        let mut together: Vec<String> = held.concat();
        together.sort();
        let share = all.len() / members.len();
        let even = held
            .iter()
            .all(|queues| (share..=share + 1).contains(&queues.len()));
        Ok((together == all && even).then_some(()))
    });
    shared.map_err(|e| e.context(format!("held: {:?}", held())))
}
