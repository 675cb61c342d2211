//! A broker whose process is stopped: its connections stay open, and no answers arrive.

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::{Context, Result, anyhow, bail, ensure};
use integration_tests::{
    proxy_process::Remora,
    raw::RawConnection,
    rocketmq::Server,
    scenario::Scenario,
    suite::{TestFn, report},
    wait::{now_ms, wait_until},
};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode};

use crate::{
    flow::{Flow, RECOVERY_LIMIT, Struck},
    senders::{Senders, send, with},
};

pub(crate) const QUICK: &[(&str, TestFn)] = &[("broker_frozen", frozen)];
pub(crate) const LONG: &[(&str, TestFn)] = &[(
    "broker_frozen_takes_no_more_than_its_share_of_memory",
    takes_its_share,
)];

/// For how long it is measured.
const SPAN: Duration = Duration::from_secs(6);
/// When sends and questions for offsets are answered for a broker that does not answer.
const SEND_DEADLINE_MS: u64 = 2_500;
const OFFSET_DEADLINE_MS: u64 = 4_500;
/// By how much that may be late on a busy machine.
const LATE_MS: u64 = 500;

fn frozen(it: &Scenario<'_>) -> Result<()> {
    let flow = Flow::start(it)?;
    let topic = it.name("raw");
    it.cluster().create_topic(&topic, 4)?;
    let [a, b] = it.cluster().brokers() else {
        bail!("two brokers");
    };
    let remora = remora(it)?;
    let senders = Senders::start(remora, &topic, b)?;
    thread::sleep(SPAN);
    let before = senders.stop()?;

    let senders = Senders::start(remora, &topic, b)?;
    let from = now_ms();
    a.freeze()?;
    let outstanding = answered_at_the_deadline(remora, &topic, a);
    thread::sleep(SPAN - Duration::from_millis(OFFSET_DEADLINE_MS));
    let during = senders.stop();
    a.thaw()?;
    outstanding?;
    let during = during?;
    report(&format!("sends to the other broker before: {before:?}"));
    report(&format!("while one was frozen: {during:?}"));
    // Machines have other things to do; what waits for the frozen broker waits for seconds.
    let limit = (3 * before.p99_ms).max(100);
    ensure!(
        during.p99_ms <= limit && during.longest_ms < SEND_DEADLINE_MS / 2,
        "they were delayed"
    );

    wait_until("the broker to be used again", RECOVERY_LIMIT, || {
        let answer = RawConnection::connect(remora)?.call(&offset(1, &topic, a.name()))?;
        Ok((answer.code == ResponseCode::SUCCESS.0).then_some(()))
    })?;
    flow.wait_sent(a.name(), 50)?;
    // Until it is known that the broker answers nothing, it is given messages.
    let to = from + SEND_DEADLINE_MS + LATE_MS;
    flow.stop(it)?
        .only_outstanding_failed(&[Struck { from, to }])
}

fn remora(it: &Scenario<'_>) -> Result<SocketAddr> {
    let allowed = it.target().allowed.first();
    allowed.copied().context("where Remora is")
}

/// Requests that the broker has been given are answered when their time is up; later ones,
/// immediately.
fn answered_at_the_deadline(remora: SocketAddr, topic: &str, broker: &Server) -> Result<()> {
    /// Enough that each worker has some.
    const CONNECTIONS: usize = 4;
    let asking: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (topic, broker) = (topic.to_owned(), broker.name().to_owned());
            thread::spawn(move || ask_in_vain(remora, &topic, &broker))
        })
        .collect();
    for asking in asking {
        asking.join().map_err(|_| anyhow!("an asker panicked"))??;
    }
    Ok(())
}

fn ask_in_vain(remora: SocketAddr, topic: &str, broker: &str) -> Result<()> {
    /// Unanswered in a row, after which a broker is left alone.
    const FAILURES: i32 = 5;
    let mut connection = RawConnection::connect(remora)?;
    let begun = now_ms();
    connection.send(&send(0, topic, broker, 100))?;
    for opaque in 1..=FAILURES {
        connection.send(&offset(opaque, topic, broker))?;
    }
    for nth in 0..=FAILURES {
        let answer = connection.receive()?;
        let took = now_ms() - begun;
        let deadline = match nth {
            0 => SEND_DEADLINE_MS,
            _ => OFFSET_DEADLINE_MS,
        };
        ensure!(
            answer.code == ResponseCode::SYSTEM_BUSY.0
                && (answer.opaque.0 == 0) == (nth == 0)
                && (deadline..=deadline + LATE_MS).contains(&took),
            "after {took} ms: {answer:?}"
        );
    }
    let begun = now_ms();
    let answer = connection.call(&offset(9, topic, broker))?;
    let took = now_ms() - begun;
    ensure!(
        answer.code == ResponseCode::SERVICE_NOT_AVAILABLE.0 && took < LATE_MS,
        "after {took} ms: {answer:?}"
    );
    Ok(())
}

fn offset(opaque: i32, topic: &str, broker: &str) -> RemotingCommand {
    let fields = [("topic", topic), ("queueId", "0"), ("bname", broker)];
    with(RequestCode::GET_MAX_OFFSET, opaque, &fields)
}

/// However much is sent to it: what does not fit is refused.
fn takes_its_share(it: &Scenario<'_>) -> Result<()> {
    const CONNECTIONS: usize = 8;
    const MESSAGES: i32 = 200;
    const SIZE: usize = 256 * 1024;
    /// `limits.broker_buffer_bytes` of two workers, and as much again for what is on its way.
    const SHARE_KB: u64 = 4 * 32 * 1024;
    let topic = it.name("raw");
    it.cluster().create_topic(&topic, 4)?;
    let binary = it.remora_binary().context("the test is about Remora")?;
    let name_servers = &it.cluster().target().name_server;
    let proxy = Remora::start(binary, &it.dir("remora")?, name_servers)?;
    let at = *proxy.target().allowed.first().context("where it is")?;
    let [a, b] = it.cluster().brokers() else {
        bail!("two brokers");
    };
    for broker in [a, b] {
        let answer = RawConnection::connect(at)?.call(&send(1, &topic, broker.name(), 100))?;
        ensure!(answer.code == 0, "{answer:?}");
    }
    let before = resident_kb(&proxy)?;
    a.freeze()?;
    let floods: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (topic, broker) = (topic.clone(), a.name().to_owned());
            thread::spawn(move || flood(at, &topic, &broker, MESSAGES, SIZE))
        })
        .collect();
    let mut most = before;
    while floods.iter().any(|flood| !flood.is_finished()) {
        most = most.max(resident_kb(&proxy)?);
        thread::sleep(Duration::from_millis(20));
    }
    a.thaw()?;
    let mut refused = 0;
    for flood in floods {
        refused += flood.join().map_err(|_| anyhow!("a flood ended"))??;
    }
    let all = CONNECTIONS * MESSAGES as usize;
    report(&format!(
        "{before} KB, and {most} KB while {} MB were sent to a frozen broker; {refused} of {all} sends were refused",
        all * SIZE / (1024 * 1024)
    ));
    ensure!(refused > 0, "it was no flood");
    ensure!(most <= before + SHARE_KB, "it takes more than its share");
    proxy.stop(&["broker"])
}

/// Sends without waiting for answers, and counts those that are no success. All are answered.
fn flood(at: SocketAddr, topic: &str, broker: &str, messages: i32, size: usize) -> Result<usize> {
    let mut connection = RawConnection::connect(at)?;
    let mut reader = connection.try_clone()?;
    let reading = thread::spawn(move || -> Result<usize> {
        let mut refused = 0;
        for _ in 0..messages {
            refused += usize::from(reader.receive()?.code != ResponseCode::SUCCESS.0);
        }
        Ok(refused)
    });
    for opaque in 0..messages {
        connection.send(&send(opaque, topic, broker, size))?;
    }
    let refused = reading.join();
    refused.map_err(|_| anyhow!("the reader ended"))?
}

fn resident_kb(proxy: &Remora) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.process().pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.context("a process has memory")?.split_whitespace();
    Ok(words.take(1).collect::<String>().parse()?)
}
