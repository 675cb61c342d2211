//! Push consumers to which brokers hand out messages one by one (POP), not queues.

use anyhow::{Result, ensure};

use crate::{
    java_client::JavaClient,
    scenario::{ClientBuilder, Scenario},
    sharing::wait_assigned,
};

/// How long a message that was handed out is invisible to other consumers.
pub const INVISIBLE_MS: u64 = 60_000;

/// A topic that brokers hand out to the test's group.
///
/// # Errors
/// When it cannot be made.
pub fn pop_topic(it: &Scenario<'_>) -> Result<String> {
    let topic = it.topic()?;
    let group = it.name("consumers");
    let arguments = [
        "setConsumeMode",
        "-c",
        "DefaultCluster",
        "-m",
        "POP",
        "-q",
        "0",
    ];
    let arguments = [arguments.as_slice(), &["-t", &topic, "-g", &group]].concat();
    let output = it.mqadmin(it.cluster().target(), &arguments)?;
    ensure!(
        output.matches("success").count() >= 2,
        "setConsumeMode: {output}"
    );
    Ok(topic)
}

/// A member of the test's group, not yet started.
#[must_use]
pub fn pop_member<'a>(it: &'a Scenario<'_>, topic: &str) -> ClientBuilder<'a> {
    it.push_consumer(topic)
        .option("pop-invisible-ms", INVISIBLE_MS)
}

/// Starts a member and waits until both brokers hand out messages to it.
///
/// # Errors
/// When they do not.
pub fn start_pop(member: &ClientBuilder<'_>) -> Result<JavaClient> {
    let mut member = member.clone().start()?;
    wait_assigned(&mut member, 2)?;
    let held = member.assignment();
    ensure!(
        held == ["broker-a:-1", "broker-b:-1"],
        "not in this mode: {held:?}"
    );
    Ok(member)
}
