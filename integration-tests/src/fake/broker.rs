//! A broker that records its requests and answers as the test orders.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use parking_lot::Mutex;
use remoting_codec::{FLAG_ONEWAY, FLAG_RESPONSE, RemotingCommand, RequestCode, ResponseCode};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

use super::wire;

/// Nothing that is expected takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a broker does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Ends the connection instead.
    Close,
    /// This, under the request's opaque.
    Command(RemotingCommand),
    /// This, after a while.
    Late(Duration, RemotingCommand),
    /// Nothing.
    Silence,
    /// Code 0, and the request's ext fields and body as the answer's.
    Mirror,
}

/// What has arrived, and over which connection.
#[derive(Clone, Debug)]
pub struct Received {
    /// Numbers the broker's connections in the order in which they came.
    pub connection: u64,
    /// The decoded command.
    pub command: RemotingCommand,
}

/// A broker in this process.
#[derive(Debug)]
pub struct FakeBroker {
    name: String,
    address: SocketAddr,
    state: Arc<State>,
    running: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    replies: Mutex<HashMap<i32, Reply>>,
    received: Mutex<Vec<Received>>,
    /// Where to write, by connection.
    open: Mutex<HashMap<u64, mpsc::UnboundedSender<RemotingCommand>>>,
    connections: AtomicU64,
    /// Connections below this number are dead: frames that arrive on them are lost, and none is
    /// answered.
    dead_below: AtomicU64,
    changed: Notify,
}

impl FakeBroker {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(name: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::<State>::default();
        let (running, stopped) = watch::channel(true);
        tokio::spawn(accept(listener, state.clone(), stopped));
        Ok(Self {
            name: name.to_owned(),
            address,
            state,
            running,
        })
    }

    /// Ends it: its connections and its port.
    pub async fn stop(&self) {
        let _ = self.running.send(false);
        self.running.closed().await;
        self.state.open.lock().clear();
    }

    /// Starts it again where it was.
    ///
    /// # Errors
    /// When its port has been taken.
    pub async fn start_again(&mut self) -> Result<()> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let (running, stopped) = watch::channel(true);
        self.running = running;
        tokio::spawn(accept(socket.listen(128)?, self.state.clone(), stopped));
        Ok(())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, answers a code like that. Without, it is [`Reply::Mirror`].
    pub fn on(&self, code: RequestCode, reply: Reply) {
        self.state.replies.lock().insert(code.0, reply);
    }

    /// Has all connections that are there go dead without an end, as when a table between here and
    /// there has forgotten them. New ones work.
    pub fn kill_connections_silently(&self) {
        let all = self.state.connections.load(Ordering::Relaxed);
        self.state.dead_below.store(all, Ordering::Relaxed);
    }

    /// Everything of that code that has arrived.
    #[must_use]
    pub fn received(&self, code: RequestCode) -> Vec<Received> {
        let received = self.state.received.lock();
        let wanted = received.iter().filter(|one| one.command.code == code.0);
        wanted.cloned().collect()
    }

    /// Waits until that many of that code have arrived.
    ///
    /// # Errors
    /// When fewer have after ten seconds.
    pub async fn wait_received(&self, code: RequestCode, count: usize) -> Result<Vec<Received>> {
        self.wait(|| Some(self.received(code)).filter(|received| received.len() >= count))
            .await
    }

    /// Waits until a connection has ended.
    ///
    /// # Errors
    /// When it has not after ten seconds.
    pub async fn wait_closed(&self, connection: u64) -> Result<()> {
        self.wait(|| (!self.state.open.lock().contains_key(&connection)).then_some(()))
            .await
    }

    /// Sends a command that answers no request, over that connection.
    ///
    /// # Errors
    /// When that has ended.
    pub fn say(&self, connection: u64, command: RemotingCommand) -> Result<()> {
        match self.state.open.lock().get(&connection) {
            Some(writer) => Ok(writer.send(command)?),
            None => bail!("connection {connection} has ended"),
        }
    }

    async fn wait<T>(&self, ready: impl Fn() -> Option<T>) -> Result<T> {
        let waiting = async {
            loop {
                let changed = self.state.changed.notified();
                if let Some(done) = ready() {
                    return done;
                }
                changed.await;
            }
        };
        Ok(timeout(PATIENCE, waiting).await?)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, running: watch::Receiver<bool>) {
    let mut stopped = running.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let state = state.clone();
                let number = state.connections.fetch_add(1, Ordering::Relaxed);
                let mut running = running.clone();
                tokio::spawn(async move {
                    let (writer, outgoing) = mpsc::unbounded_channel();
                    state.open.lock().insert(number, writer.clone());
                    tokio::select! {
                        () = serve(stream, number, &state, writer, outgoing) => {}
                        _ = running.wait_for(|running| !running) => {}
                    }
                    state.open.lock().remove(&number);
                    state.changed.notify_waiters();
                });
            }
            _ = stopped.wait_for(|running| !running) => return,
        }
    }
}

async fn serve(
    stream: TcpStream,
    number: u64,
    state: &Arc<State>,
    writer: mpsc::UnboundedSender<RemotingCommand>,
    mut outgoing: mpsc::UnboundedReceiver<RemotingCommand>,
) {
    let (mut reading, mut writing) = stream.into_split();
    let write = async {
        while let Some(command) = outgoing.recv().await {
            if writing.write_all(&command.to_bytes()).await.is_err() {
                return;
            }
        }
    };
    let read = async {
        while let Ok(Some(command)) = wire::read(&mut reading).await {
            if number < state.dead_below.load(Ordering::Relaxed) {
                continue;
            }
            let reply = state.replies.lock().get(&command.code).cloned();
            state.received.lock().push(Received {
                connection: number,
                command: command.clone(),
            });
            state.changed.notify_waiters();
            if command.flag & (FLAG_ONEWAY | FLAG_RESPONSE) != 0 {
                continue;
            }
            let (delay, answer) = match reply.unwrap_or(Reply::Mirror) {
                Reply::Close => return,
                Reply::Silence => continue,
                Reply::Command(answer) => (Duration::ZERO, answer),
                Reply::Late(delay, answer) => (delay, answer),
                Reply::Mirror => (Duration::ZERO, mirror(&command)),
            };
            let answer = RemotingCommand {
                opaque: command.opaque,
                flag: FLAG_RESPONSE,
                ..answer
            };
            let writer = writer.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = writer.send(answer);
            });
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}

fn mirror(request: &RemotingCommand) -> RemotingCommand {
    RemotingCommand {
        code: ResponseCode::SUCCESS.0,
        remark: None,
        ..request.clone()
    }
}
