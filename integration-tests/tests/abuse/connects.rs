//! Complaint 28 about the Java proxy: gRPC clients that connect and leave, again and again, cost no
//! memory, with and without a balancer's header.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::abuse::{Attack, Ground, Outcome, resident_memory};
use integration_tests::ports::free_port;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Abuse, Test, test};

/// By how much the resident memory may grow after the first quarter of the connects: pages that
/// the allocator keeps.
const GROWTH: u64 = 4_000_000;

/// How many clients connect at the same time.
const AT_A_TIME: usize = 8;

/// The first bytes of a client: HTTP/2's preface, settings, and a ping.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
    \0\0\x08\x06\0\0\0\0\0connects";

/// The answer to that ping.
const ANSWER: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0connects";

/// The header of a balancer in front of the proxy.
const BALANCER: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 20000\r\n";

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![test("clients_connect_2000_times", |abuse, name| {
        let what = "gRPC clients that connect and leave, 2,000 times";
        let attack = Attack::new(name, "27", what).lasting(Duration::from_secs(8));
        connect_often(abuse, &attack, 2_000)
    })]
}

pub(crate) fn all() -> Vec<(String, Test)> {
    vec![test("clients_connect_20000_times", |abuse, name| {
        let what = "gRPC clients that connect and leave, 20,000 times";
        let attack = Attack::new(name, "27", what).lasting(Duration::from_secs(60));
        connect_often(abuse, &attack, 20_000)
    })]
}

/// Connects, and leaves once the proxy speaks HTTP/2. Of those behind a balancer, half leave after
/// its header.
async fn visit(proxy: SocketAddr, balanced: SocketAddr, nth: usize) -> Result<()> {
    let mut stream = match nth % 4 {
        0 | 1 => TcpStream::connect(proxy).await?,
        _ => {
            let mut stream = TcpStream::connect(balanced).await?;
            stream.write_all(BALANCER).await?;
            stream
        }
    };
    if nth % 4 == 3 {
        return Ok(());
    }
    stream.write_all(HELLO).await?;
    let (mut answer, mut bytes) = (Vec::<u8>::new(), [0; 1024]);
    while !answer.windows(ANSWER.len()).any(|part| part == ANSWER) {
        let length = stream.read(&mut bytes).await?;
        ensure!(length > 0, "the proxy has closed the connection");
        answer.extend(bytes.iter().take(length));
    }
    Ok(())
}

/// What the attack has seen.
#[derive(Debug, Default)]
struct Tally {
    done: AtomicUsize,
    /// The resident memory after the first quarter, and after all.
    first: AtomicU64,
    last: AtomicU64,
}

async fn visit_all(
    ground: Ground,
    balanced: SocketAddr,
    pid: u32,
    count: usize,
    tally: Arc<Tally>,
) -> Result<()> {
    let mut running = JoinSet::new();
    for nth in 0..count {
        if running.len() >= AT_A_TIME
            && let Some(visited) = running.join_next().await
        {
            visited???;
            tally.done.fetch_add(1, Ordering::Relaxed);
        }
        if nth == count / 4 {
            tally.first.store(resident_memory(pid)?, Ordering::Relaxed);
        }
        let visit = visit(ground.proxy, balanced, nth);
        running.spawn(timeout(Duration::from_secs(10), visit));
    }
    while let Some(visited) = running.join_next().await {
        visited???;
        tally.done.fetch_add(1, Ordering::Relaxed);
    }
    tally.last.store(resident_memory(pid)?, Ordering::Relaxed);
    Ok(())
}

fn connect_often(abuse: &Abuse, attack: &Attack, count: usize) -> Result<Outcome> {
    let balanced = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let world = abuse.world(
        &attack.name,
        &format!(
            "proxy_protocol_from = [\"127.0.0.0/8\"]\n\
             [[listener]]\nbind = \"{balanced}\"\nproxy_protocol = true\n"
        ),
    )?;
    let pid = world.remora().process().pid();
    let tally = Arc::<Tally>::default();
    let mut outcome = world.judge(attack, {
        let tally = Arc::clone(&tally);
        move |ground| visit_all(ground, balanced, pid, count, tally)
    })?;
    let done = tally.done.load(Ordering::Relaxed);
    if done < count {
        let text = format!("only {done} of {count} have connected");
        outcome.broken.push(text);
        return Ok(outcome);
    }
    let first = tally.first.load(Ordering::Relaxed);
    let last = tally.last.load(Ordering::Relaxed);
    let (from, to) = (first / 1000, last / 1000);
    outcome
        .notes
        .push(format!("{from} KB resident, {to} KB at the end"));
    if last > first + GROWTH {
        let text = format!("the resident memory has grown from {from} to {to} KB");
        outcome.broken.push(text);
    }
    Ok(outcome)
}
