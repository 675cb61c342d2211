//! Brokers that are killed, and come back.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::{of_broker, wait_arrived_within},
    raw::RawConnection,
    rocketmq::Server,
    scenario::Scenario,
    suite::{TestFn, report},
    wait::{now_ms, wait_until},
};
use remoting_codec::{RequestCode, ResponseCode};

use crate::{
    WITH_SLAVE,
    flow::{Flow, RECOVERY_LIMIT, Struck},
    senders::with,
};

pub(crate) const QUICK: &[(&str, TestFn)] = &[("master_killed_and_its_slave_left", slave_left)];
pub(crate) const LONG: &[(&str, TestFn)] = &[("brokers_killed_in_turn", killed_in_turn)];

/// How long one is away: longer than it takes a client to ask for its route again.
const AWAY: Duration = Duration::from_secs(40);
/// The same in a quick run.
const BRIEFLY: Duration = Duration::from_secs(8);
/// How long a consumer may get nothing from a broker that nothing was done to.
const PAUSE_MAX_MS: u64 = 2_000;

/// Consumers continue with the slave's messages, and a group that connects only now reads them from
/// the start.
fn slave_left(it: &Scenario<'_>) -> Result<()> {
    let flow = Flow::start(it)?;
    let broker = broker(it, WITH_SLAVE)?;
    for slave in it.cluster().slaves() {
        wait_known(slave, &flow.topic)?;
    }
    let struck = kill(broker)?;
    let stored = stored_before(&flow, broker, struck);
    ensure!(!stored.is_empty(), "nothing was stored");
    let group = it.name("newcomers");
    let newcomer = it.push_consumer(&flow.topic).option("group", group);
    let newcomer = newcomer.start()?;
    wait_arrived_within(RECOVERY_LIMIT, &[&newcomer], &stored)?;
    wait_arrived_within(RECOVERY_LIMIT, &[&flow.consumer], &stored)?;
    thread::sleep(BRIEFLY);
    judge_pause(it, &flow, broker, struck)?;
    it.stop([newcomer])?;
    come_back(it, &flow, broker)?;
    flow.stop(it)?.only_outstanding_failed(&[struck])
}

/// Each in its turn, and each twice.
fn killed_in_turn(it: &Scenario<'_>) -> Result<()> {
    let flow = Flow::start(it)?;
    let mut struck = Vec::new();
    for broker in it.cluster().brokers().iter().cycle().take(4) {
        let moment = kill(broker)?;
        struck.push(moment);
        thread::sleep(AWAY);
        judge_pause(it, &flow, broker, moment)?;
        come_back(it, &flow, broker)?;
    }
    flow.stop(it)?.only_outstanding_failed(&struck)
}

fn broker<'a>(it: &Scenario<'a>, name: &str) -> Result<&'a Server> {
    let mut brokers = it.cluster().brokers().iter();
    brokers
        .find(|broker| broker.name() == name)
        .context("there is no such broker")
}

/// Waits until a slave knows the topic: it asks its master for topics every ten seconds.
fn wait_known(slave: &Server, topic: &str) -> Result<()> {
    /// `GET_TOPIC_CONFIG`.
    const TOPIC_CONFIG: RequestCode = RequestCode(351);
    wait_until("the slave to know the topic", RECOVERY_LIMIT, || {
        let ask = with(TOPIC_CONFIG, 1, &[("topic", topic), ("lo", "true")]);
        let answer = RawConnection::connect(slave.address())?.call(&ask)?;
        Ok((answer.code == ResponseCode::SUCCESS.0).then_some(()))
    })
}

fn kill(broker: &Server) -> Result<Struck> {
    let from = now_ms();
    broker.kill()?;
    let to = now_ms();
    Ok(Struck { from, to })
}

/// What the broker had acknowledged by then. Of later sends, another broker may have taken what was
/// meant for it.
fn stored_before(flow: &Flow, broker: &Server, struck: Struck) -> Vec<String> {
    let mut sent = flow.sent();
    sent.retain(|sent| sent.at < struck.from);
    of_broker(&sent, broker.name())
}

/// Since then, the consumer has continued with the other broker's queues.
fn judge_pause(it: &Scenario<'_>, flow: &Flow, killed: &Server, struck: Struck) -> Result<()> {
    let mut others = it.cluster().brokers().iter();
    let other = others.find(|other| other.name() != killed.name());
    let other = other.context("there is another broker")?.name();
    let pause = flow.longest_pause_ms(other, struck.from, now_ms());
    report(&format!(
        "{} killed: the consumer got nothing of {other} for {pause} ms at most",
        killed.name()
    ));
    ensure!(pause <= PAUSE_MAX_MS, "the consumer paused for {pause} ms");
    Ok(())
}

fn come_back(it: &Scenario<'_>, flow: &Flow, broker: &Server) -> Result<()> {
    broker.start()?;
    it.cluster().wait_registered()?;
    flow.wait_sent(broker.name(), 100)?;
    flow.wait_received(broker.name(), 100)
}
