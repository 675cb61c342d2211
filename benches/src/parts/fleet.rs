//! Clients that are connected and registered, and ask for nothing.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use remoting_codec::{CommandView, RemotingCommand};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval_at, timeout};

use crate::inbox::Inbox;
use crate::requests::{heartbeat, route};
use crate::shape::SEND_TOPIC;

/// Groups that the clients divide into.
pub(super) const GROUPS: usize = 200;

/// How often a client sends a heartbeat.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(30);

/// How long all of them may take to be registered: well above what is asked for.
const START_LIMIT: Duration = Duration::from_secs(120);

/// After how long a client that could not start tries again.
const AGAIN: Duration = Duration::from_millis(500);

/// Clients that live as long as this does. Must be used within a `LocalSet`.
pub(super) struct Fleet {
    clients: Vec<JoinHandle<()>>,
    /// How long it took until all were registered.
    pub(super) registered_in: Duration,
    /// How often a client could not start and tried again.
    pub(super) refused: usize,
    /// Why, the last time.
    pub(super) refusal: String,
    /// Heartbeats that were answered with an error, or not at all.
    pub(super) failed: Rc<Cell<usize>>,
    /// Heartbeats that were answered well.
    pub(super) answered: Rc<Cell<usize>>,
}

impl Fleet {
    /// Connects that many; each asks for its topic's route and sends a heartbeat. At most `at_once`
    /// of them are connecting at a time.
    pub(super) async fn start(address: SocketAddr, count: usize, at_once: usize) -> Result<Self> {
        let begun = Instant::now();
        let turns = Rc::new(Semaphore::new(at_once));
        let refused = Rc::<Cell<usize>>::default();
        let refusal = Rc::<RefCell<String>>::default();
        let mut starting = JoinSet::new();
        for nth in 0..count {
            let (turns, refused, refusal) = (turns.clone(), refused.clone(), refusal.clone());
            starting.spawn_local(async move {
                let _turn = turns.acquire().await?;
                loop {
                    match Client::start(address, nth).await {
                        Ok(client) => return anyhow::Ok(client),
                        Err(error) => {
                            refused.set(refused.get() + 1);
                            refusal.replace(format!("{error:#}"));
                            tokio::time::sleep(AGAIN).await;
                        }
                    }
                }
            });
        }
        let all = async {
            let mut clients = Vec::with_capacity(count);
            while let Some(started) = starting.join_next().await {
                clients.push(started??);
            }
            anyhow::Ok(clients)
        };
        let clients = timeout(START_LIMIT, all)
            .await
            .context("not all clients are registered in time")??;
        let registered_in = begun.elapsed();
        let (failed, answered) = (Rc::<Cell<usize>>::default(), Rc::<Cell<usize>>::default());
        let clients = clients
            .into_iter()
            .enumerate()
            .map(|(nth, client)| {
                // Spread over the time between two heartbeats, as those of clients are that did not
                // start together.
                let first = HEARTBEAT.mul_f64((nth + 1) as f64 / count as f64);
                tokio::task::spawn_local(client.live(first, failed.clone(), answered.clone()))
            })
            .collect();
        Ok(Self {
            clients,
            registered_in,
            refused: refused.get(),
            refusal: refusal.take(),
            failed,
            answered,
        })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}

struct Client {
    stream: TcpStream,
    heartbeat: RemotingCommand,
}

impl Client {
    async fn start(address: SocketAddr, nth: usize) -> Result<Self> {
        let group = format!("group-{}", nth % GROUPS);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream,
            heartbeat: heartbeat(
                &format!("127.0.0.1@{nth}"),
                &format!("producer-{group}"),
                &[group],
                SEND_TOPIC,
            ),
        };
        client.call(&route(SEND_TOPIC)).await?;
        client.beat().await?;
        Ok(client)
    }

    /// Sends heartbeats without end.
    async fn live(mut self, first: Duration, failed: Rc<Cell<usize>>, answered: Rc<Cell<usize>>) {
        let mut beats = interval_at(Instant::now() + first, HEARTBEAT);
        loop {
            beats.tick().await;
            let count = if self.beat().await.is_ok() {
                &answered
            } else {
                &failed
            };
            count.set(count.get() + 1);
        }
    }

    async fn beat(&mut self) -> Result<()> {
        let heartbeat = self.heartbeat.clone();
        self.call(&heartbeat).await
    }

    async fn call(&mut self, request: &RemotingCommand) -> Result<()> {
        self.stream.write_all(&request.to_bytes()).await?;
        let mut inbox = Inbox::default();
        let mut buffer = vec![0; 2048];
        let mut answered = false;
        while !answered {
            let read = self.stream.read(&mut buffer).await?;
            ensure!(read > 0, "the connection was closed");
            inbox.take_in(buffer.get(..read).unwrap_or_default(), |frame| {
                let view = CommandView::decode(frame)?;
                if view.is_response() {
                    let (code, remark) = (view.code(), view.remark());
                    ensure!(code == 0, "answered with code {code}: {remark}");
                    answered = true;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
