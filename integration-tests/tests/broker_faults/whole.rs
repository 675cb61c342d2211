//! A whole cluster that stops and returns.

use std::{thread, time::Duration};

use anyhow::Result;
use integration_tests::{
    scenario::Scenario,
    suite::{TestFn, report},
    wait::now_ms,
};

use crate::flow::Flow;

pub(crate) const LONG: &[(&str, TestFn)] = &[("whole_cluster_gone_and_back", gone)];

/// How long it is stopped.
const GONE: Duration = Duration::from_secs(30);

/// The clients are left alone: they continue by themselves, and all messages that were acknowledged
/// before are still stored.
fn gone(it: &Scenario<'_>) -> Result<()> {
    let flow = Flow::start(it)?;
    let cluster = it.cluster();
    let brokers = cluster.brokers().iter().chain(cluster.slaves());
    let all = || brokers.clone().chain([cluster.name_server()]);
    for server in all() {
        server.kill()?;
    }
    thread::sleep(GONE);
    for server in all() {
        server.start()?;
    }
    cluster.wait_registered()?;
    let back = now_ms();
    for broker in cluster.brokers() {
        flow.wait_sent(broker.name(), 100)?;
        let took = now_ms() - back;
        report(&format!(
            "{}: sent to {took} ms after the cluster was back",
            broker.name()
        ));
    }
    // That sends failed meanwhile cannot be helped; nothing that was acknowledged may be lost.
    flow.stop(it)?;
    Ok(())
}
