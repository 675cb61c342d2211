//! Fairness: clients that send much, brokers at their limit, and addresses of which one client has many.

use std::{sync::atomic::Ordering, thread, time::Duration};

use anyhow::{Context, Result};
use integration_tests::abuse::{Addresses, Attack, Healthy, Kind, Line, Outcome, World};
use tokio::{runtime::Builder, time::Instant};

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

/// It answers nothing for a second out of four, as one that collects garbage. No more may fail than directly.
fn slow_broker(abuse: &Abuse, name: &str) -> Result<Outcome> {
    /// How many of a hundred more may fail.
    const MORE: f64 = 10.0;
    let world = abuse.world(name, "")?;
    let healthy = Healthy::start(Addresses {
        proxy: world.ground().proxy,
        broker: *world.upstream().brokers().first().context("a broker")?,
    })?;
    let from = Instant::now();
    thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    let pausing = &world.upstream().seen().pausing;
    pausing.store(true, Ordering::Relaxed);
    thread::sleep(Duration::from_secs(8));
    pausing.store(false, Ordering::Relaxed);
    let over = Instant::now();
    thread::sleep(Duration::from_secs(4));
    let mut outcome = Outcome {
        name: name.to_owned(),
        row: "23",
        what: "brokers that answer no send for a second out of four",
        ..Outcome::default()
    };
    let [through, direct] =
        [Kind::Send, Kind::Direct].map(|kind| healthy.summary(kind, begun, over).ok_percent());
    for kind in Kind::PROXIED {
        let before = healthy.summary(kind, from, begun);
        let during = healthy.summary(kind, begun, over);
        outcome.healthy.push((kind.name(), before, during));
    }
    outcome.notes.push(format!("directly, {direct:.1} % ok"));
    if through < direct - MORE {
        let text = format!("{through:.1} % of sends were ok, directly {direct:.1} %");
        outcome.broken.push(text);
    }
    Ok(outcome)
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
async fn connect_as(proxy: std::net::SocketAddr, address: &str) -> Option<Line> {
    let mut line = Line::open(proxy).await.ok()?;
    let header = format!("PROXY TCP6 {address} 2001:db8:ffff::1 40000 8080\r\n");
    line.write(header.as_bytes()).await.ok()?;
    line.call(&route("known")).await.ok()?;
    Some(line)
}
