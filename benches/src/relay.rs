//! A relay that does nothing but what any proxy of this protocol must: frames are found, their
//! opaque is replaced, all clients share connections to one broker. It exists to compare ways to
//! run such a thing, not to be used: it routes nothing, bounds nothing and has no deadlines.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use clap::ValueEnum;
use remoting_codec::CommandView;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::inbox::Inbox;

/// Bytes that one read takes at most.
const READ_SIZE: usize = 64 * 1024;

const BACKLOG: u32 = 1024;

/// How the relay runs. Everything else is the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Runtimes {
    /// A runtime with one thread on each core, that accepts and keeps its own clients
    /// (`SO_REUSEPORT`).
    PerCore,
    /// One runtime whose threads take each other's tasks.
    Shared,
}

/// Runs the relay in front of a broker on that many threads, with as many connections to the
/// broker, and prints where it listens.
///
/// # Errors
/// When it cannot listen, or does not reach the broker.
pub fn run(runtimes: Runtimes, threads: usize, broker: SocketAddr) -> Result<()> {
    let mut listener = None;
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut workers = Vec::new();
    for _ in 0..threads {
        let runtime = match runtimes {
            Runtimes::PerCore => Builder::new_current_thread().enable_all().build()?,
            Runtimes::Shared => Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()?,
        };
        let bound = runtime.block_on(async { listen(address) })?;
        address = bound.local_addr()?;
        if runtimes == Runtimes::Shared {
            listener = Some((runtime, bound));
            break;
        }
        workers.push(thread::spawn(move || {
            runtime.block_on(accept(bound, broker, 1))
        }));
    }
    writeln!(std::io::stdout(), "{address}")?;
    if let Some((runtime, listener)) = listener {
        return runtime.block_on(async {
            tokio::spawn(accept(listener, broker, threads))
                .await
                .context("the relay has panicked")?
        });
    }
    for worker in workers {
        let ended = worker.join();
        ended.map_err(|_| anyhow::anyhow!("a worker has panicked"))??;
    }
    Ok(())
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket.listen(BACKLOG)?)
}

/// Serves clients with that many connections to the broker.
async fn accept(listener: TcpListener, broker: SocketAddr, upstreams: usize) -> Result<()> {
    let mut all = Vec::new();
    for _ in 0..upstreams {
        let stream = TcpStream::connect(broker).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let upstream = Arc::new(Upstream::default());
        tokio::spawn(write_all(upstream.outbox.clone(), write));
        tokio::spawn(take_answers(upstream.clone(), read));
        all.push(upstream);
    }
    let mut turns = all.iter().cycle();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let outbox = Arc::new(Outbox::default());
        tokio::spawn(write_all(outbox.clone(), write));
        if let Some(upstream) = turns.next() {
            tokio::spawn(take_requests(upstream.clone(), outbox, read));
        }
    }
}

/// The bytes that wait to be written to a connection.
#[derive(Debug, Default)]
struct Outbox {
    bytes: parking_lot::Mutex<Vec<u8>>,
    filled: Notify,
    closed: std::sync::atomic::AtomicBool,
}

impl Outbox {
    fn push(&self, view: &CommandView<'_>, opaque: i32) {
        let mut bytes = self.bytes.lock();
        view.encode_head_with_opaque(opaque, &mut bytes);
        bytes.extend_from_slice(view.body());
        drop(bytes);
        self.filled.notify_one();
    }
}

#[derive(Debug, Default)]
struct Upstream {
    outbox: Arc<Outbox>,
    pending: parking_lot::Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    last: i32,
    by_opaque: HashMap<i32, (Arc<Outbox>, i32)>,
}

async fn write_all(outbox: Arc<Outbox>, mut write: OwnedWriteHalf) -> Result<()> {
    let mut bytes = Vec::new();
    while !outbox.closed.load(std::sync::atomic::Ordering::Relaxed) {
        outbox.filled.notified().await;
        std::mem::swap(&mut *outbox.bytes.lock(), &mut bytes);
        write.write_all(&bytes).await?;
        bytes.clear();
    }
    Ok(())
}

/// Each frame of a client is passed on to the broker.
async fn take_requests(
    upstream: Arc<Upstream>,
    outbox: Arc<Outbox>,
    mut read: OwnedReadHalf,
) -> Result<()> {
    let mut inbox = Inbox::default();
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let bytes = read.read(&mut buffer).await.unwrap_or(0);
        if bytes == 0 {
            outbox
                .closed
                .store(true, std::sync::atomic::Ordering::Relaxed);
            outbox.filled.notify_one();
            return Ok(());
        }
        inbox.take_in(buffer.get(..bytes).unwrap_or_default(), |frame| {
            let view = CommandView::decode(frame)?;
            let mut pending = upstream.pending.lock();
            pending.last = pending.last.wrapping_add(1);
            let opaque = pending.last;
            let waiting = (outbox.clone(), view.opaque().0);
            pending.by_opaque.insert(opaque, waiting);
            drop(pending);
            upstream.outbox.push(&view, opaque);
            Ok(())
        })?;
    }
}

/// Each frame of the broker is sent to the connection that asked for it.
async fn take_answers(upstream: Arc<Upstream>, mut read: OwnedReadHalf) -> Result<()> {
    let mut inbox = Inbox::default();
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let bytes = read.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        inbox.take_in(buffer.get(..bytes).unwrap_or_default(), |frame| {
            let view = CommandView::decode(frame)?;
            let waiting = upstream.pending.lock().by_opaque.remove(&view.opaque().0);
            if let Some((client, opaque)) = waiting {
                client.push(&view, opaque);
            }
            Ok(())
        })?;
    }
}
