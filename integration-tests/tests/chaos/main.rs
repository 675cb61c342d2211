//! Two replicas behind HAProxy, two brokers, producers and consumers of remoting and HTTP, and
//! everything is killed or frozen in turn: a ledger of what was acknowledged and what was consumed.
//!
//! For a minute in a quick run, or for `REMORA_IT_CHAOS_SECONDS` (`make chaos`: five minutes). The
//! order is random; it is printed, and `REMORA_IT_SEED` brings it back.

mod http;
mod ledger;
mod schedule;

use std::{env, net::Ipv4Addr, process::ExitCode, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    compare::BROKERS,
    replicas::{REPLICAS, Replicas},
    scenario::Scenario,
    suite::{Suite, TestFn, report},
    wait::{Deadline, now_ms, wait_until},
};

use http::HttpLedger;
use ledger::Ledger;
use schedule::{Blow, Schedule};

const TESTS: &[(&str, TestFn)] = &[("nothing_acknowledged_is_lost_and_no_send_fails", chaos)];

/// How long the run takes, in seconds, unless the variable sets it.
const QUICK: u64 = 60;

/// The longest time of a blow and of the recovery after it: none starts later than this before the
/// end.
const LONGEST: Duration = Duration::from_secs(20);

/// By when all clients continue after a blow: a killed broker has to start, and clients ask for
/// routes every 30 s.
const RECOVERY: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let suite = Suite {
        name: "chaos",
        brokers: &BROKERS,
        clients: &[],
        parallel: 1,
        expected_warnings: &[
            "name server",
            "broker",
            "slow request",
            "connection",
            "lane",
        ],
        // There are no replicas otherwise.
        only_through_remora: TESTS.iter().map(|(name, _)| *name).collect(),
        tests: TESTS.to_vec(),
    };
    suite.run()
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Ok(value) = env::var(variable) else {
        return Ok(None);
    };
    let number = value.parse();
    Ok(Some(number.with_context(|| format!("{variable}={value}"))?))
}

fn chaos(it: &Scenario<'_>) -> Result<()> {
    let seconds = number("REMORA_IT_CHAOS_SECONDS")?.unwrap_or(QUICK);
    let seed = number("REMORA_IT_SEED")?.unwrap_or_else(now_ms);
    report(&format!(
        "chaos for {seconds} s; REMORA_IT_SEED={seed} brings the order back"
    ));
    let binary = it.remora_binary().context("the test is about Remora")?;
    let name_servers = &it.cluster().target().name_server;
    let at = Ipv4Addr::LOCALHOST.into();
    let mut replicas = Replicas::start(binary, &it.dir("replicas")?, name_servers, &BROKERS, at)?;
    let ledger = Ledger::open(it, replicas.target())?;
    let by_http = HttpLedger::open(it, replicas.target())?;
    by_http.wait_flowing(0, RECOVERY)?;
    let over = Deadline::after(Duration::from_secs(seconds));
    let mut blows = 0;
    for blow in Schedule::new(seed) {
        if over.remaining().is_none_or(|left| left < LONGEST) {
            break;
        }
        let begun = now_ms();
        strike(it, &mut replicas, blow)?;
        let over = now_ms();
        ledger
            .wait_flowing(it, over, RECOVERY)
            .and_then(|()| by_http.wait_flowing(over, RECOVERY))
            .with_context(|| format!("after {blow:?}"))?;
        report(&format!(
            "{blow:?}: all flows again {} ms later",
            now_ms() - begun
        ));
        blows += 1;
        thread::sleep(Duration::from_secs(1));
    }
    ensure!(blows >= 2, "only {blows} blows in {seconds} s");
    by_http.close(blows)?;
    ledger.close(it, blows)?;
    // A killed replica may have logged anything: the log is only searched for panics.
    for nth in 0..REPLICAS {
        let replica = replicas.take(nth)?;
        let panicked = replica.log_lines("panicked")?;
        ensure!(panicked.is_empty(), "replica {nth}: {panicked:?}");
        replica.kill()?;
    }
    Ok(())
}

fn strike(it: &Scenario<'_>, replicas: &mut Replicas, blow: Blow) -> Result<()> {
    let broker = |nth: usize| it.cluster().brokers().get(nth).context("a broker");
    match blow {
        Blow::KillReplica { nth, away_ms } => {
            replicas.take(nth)?.kill()?;
            thread::sleep(Duration::from_millis(away_ms));
            replicas.start_one(nth)
        }
        Blow::FreezeBroker { nth, for_ms } => {
            let broker = broker(nth)?;
            broker.freeze()?;
            thread::sleep(Duration::from_millis(for_ms));
            broker.thaw()
        }
        Blow::KillBroker { nth, away_ms } => {
            let broker = broker(nth)?;
            broker.kill()?;
            thread::sleep(Duration::from_millis(away_ms));
            broker.start()?;
            it.cluster().wait_registered()?;
            wait_until("the broker to take connections", RECOVERY, || {
                Ok(std::net::TcpStream::connect(broker.address()).ok())
            })?;
            Ok(())
        }
    }
}
