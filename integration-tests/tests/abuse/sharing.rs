//! Fairness: clients that send much, brokers at their limit, and addresses of which one client has
//! many.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use anyhow::Result;
use integration_tests::abuse::{Attack, Line, Outcome, World};
use tokio::{
    runtime::Builder,
    task::LocalSet,
    time::{Instant, sleep_until},
};

use crate::{
    Abuse, Test,
    codes::{route, send},
    test,
};

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("large_sends_beside_small_ones", elephants),
        test("a_broker_at_its_limit", slow_broker),
        test("many_addresses_of_one_network", one_network),
    ]
}

fn elephants(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const OUTSTANDING: usize = 64;
    let attack = Attack::new(name, "22", "four clients that pipeline 1 MB sends, 64 deep");
    abuse.judge(&attack, |ground| async move {
        ground
            .many(4, |mut line, _| async move {
                let frame = send("known-attackers", 1_000_000).to_frame(1);
                for _ in 0..OUTSTANDING {
                    line.write(&frame).await?;
                }
                loop {
                    line.receive().await?;
                    line.write(&frame).await?;
                }
            })
            .await;
        Ok(())
    })
}

/// It answers nothing for a second out of four, as one that collects garbage. No more may fail than
/// directly.
fn slow_broker(abuse: &Abuse, name: &str) -> Result<Outcome> {
    /// How many of a hundred more may fail.
    const MORE: f64 = 5.0;
    const TIME: Duration = Duration::from_secs(9);
    let world = abuse.world(name, "")?;
    let proxy = world.ground().proxy;
    let broker = world.broker();
    world.seen().pausing.store(true, Ordering::Relaxed);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (through, direct) = LocalSet::new().block_on(&runtime, async {
        tokio::join!(patient(proxy, TIME), patient(broker, TIME))
    });
    let (through, direct) = (through?, direct?);
    let mut outcome = Outcome {
        name: name.to_owned(),
        row: "23",
        what: "brokers that answer no send for a second out of four",
        ..Outcome::default()
    };
    let text = format!("{through:.1} % of sends were ok, directly {direct:.1} %");
    if through < direct - MORE {
        outcome.broken.push(text);
    } else {
        outcome.notes.push(text);
    }
    Ok(outcome)
}

/// How many of a hundred sends are answered well within the 3 s that a client waits. They do not
/// wait for each other.
async fn patient(address: SocketAddr, time: Duration) -> Result<f64> {
    const PERIOD: Duration = Duration::from_millis(10);
    const PATIENCE: Duration = Duration::from_secs(3);
    let mut line = Line::open(address).await?;
    let begun = Instant::now();
    let (mut due, mut sent, mut ok) = (begun, Vec::new(), 0);
    while begun.elapsed() < time + PATIENCE {
        tokio::select! {
            () = sleep_until(due), if due < begun + time => {
                sent.push(Instant::now());
                line.send(&send("known", 128)).await?;
                due += PERIOD;
            }
            answer = line.receive() => {
                let answer = answer?;
                let nth = usize::try_from(answer.opaque)?.saturating_sub(1);
                let in_time = sent.get(nth).is_some_and(|sent| sent.elapsed() <= PATIENCE);
                ok += usize::from(answer.code == 0 && in_time);
            }
            () = sleep_until(begun + time + PATIENCE) => {}
        }
    }
    Ok(100.0 * ok as f64 / sent.len() as f64)
}

/// One host has 2^64 addresses of IPv6: a limit by address is one by network.
fn one_network(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const LIMIT: usize = 20;
    const TRIED: usize = 60;
    let world = World::start_with(
        &abuse.binary,
        &abuse.scratch.path().join(name),
        &format!(
            "proxy_protocol_from = [\"127.0.0.0/8\"]\n[limits]\nconnections_per_address = {LIMIT}\n"
        ),
        "proxy_protocol = true\n",
    )?;
    let proxy = world.ground().proxy;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (taken, other) = runtime.block_on(async {
        let mut taken = Vec::new();
        for nth in 0..TRIED {
            taken.extend(connect_as(proxy, &format!("2001:db8:0:1::{nth:x}")).await);
        }
        let other = connect_as(proxy, "2001:db8:0:2::1").await;
        (taken.len(), other.is_some())
    });
    let mut outcome = Outcome {
        name: name.to_owned(),
        row: "24",
        what: "60 connections from addresses of one /64, at a limit of 20 by address",
        ..Outcome::default()
    };
    outcome.notes.push(format!("{taken} taken"));
    if taken > LIMIT {
        outcome.broken.push(format!("{taken} were taken"));
    }
    if !other {
        let text = "one from another network was not taken";
        outcome.broken.push(text.to_owned());
    }
    Ok(outcome)
}

/// A connection of a client at that address, if it is served.
async fn connect_as(proxy: SocketAddr, address: &str) -> Option<Line> {
    let mut line = Line::open(proxy).await.ok()?;
    let header = format!("PROXY TCP6 {address} 2001:db8:ffff::1 40000 8080\r\n");
    line.write(header.as_bytes()).await.ok()?;
    line.call(&route("known")).await.ok()?;
    Some(line)
}
