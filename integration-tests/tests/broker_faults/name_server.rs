//! A cluster whose only name server has stopped.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use integration_tests::{
    delivery::wait_exactly_once,
    scenario::Scenario,
    suite::{TestFn, report},
    wait::now_ms,
};

use crate::flow::Flow;

/// `failover` has the same for seconds.
pub(crate) const LONG: &[(&str, TestFn)] = &[
    ("name_server_gone_for_a_while", |it| {
        gone(it, Duration::from_secs(40))
    }),
    ("name_server_gone_for_minutes", |it| {
        gone(it, Duration::from_secs(180))
    }),
];

/// How long a consumer may get nothing: for it, nothing has happened.
const PAUSE_MAX_MS: u64 = 2_000;

/// Clients that are there notice nothing, and others can start: Remora knows the routes.
fn gone(it: &Scenario<'_>, time: Duration) -> Result<()> {
    let flow = Flow::start(it)?;
    let name_server = it.cluster().name_server();
    let from = now_ms();
    name_server.kill()?;
    thread::sleep(time);
    let group = it.name("newcomers");
    let newcomer = it.push_consumer(&flow.topic).option("group", group);
    let newcomer = newcomer.option("from", "LAST_OFFSET").start()?;
    let mut late = it.producer().option("group", it.name("late")).start()?;
    let bodies = late.send(&flow.topic, "late", 20, &[])?;
    for broker in it.cluster().brokers() {
        let pause = flow.longest_pause_ms(broker.name(), from, now_ms());
        report(&format!("{}: paused for {pause} ms at most", broker.name()));
        ensure!(pause <= PAUSE_MAX_MS, "the consumer paused for {pause} ms");
    }
    it.stop([newcomer, late])?;
    name_server.start()?;
    it.cluster().wait_registered()?;
    let new_topic = it.name("new-topic");
    it.cluster().create_topic(&new_topic, 1)?;
    let consumer = it.push_consumer(&new_topic);
    let consumer = consumer.option("group", it.name("new")).start()?;
    let mut producer = it.producer().start()?;
    wait_exactly_once(&[&consumer], &producer.send(&new_topic, "new", 10, &[])?)?;
    it.stop([consumer, producer])?;
    ensure!(!bodies.is_empty(), "nothing was sent late");
    flow.stop(it)?.none_failed()
}
