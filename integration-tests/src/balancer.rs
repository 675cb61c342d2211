//! A load balancer for TCP connections, as plain as one in front of replicas can be.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::Result;
use parking_lot::Mutex;

use crate::{ports::free_port, target::Target};

/// Hands each connection to the next of its servers that takes it. It lives as long as the process.
#[derive(Debug)]
pub struct Balancer {
    target: Target,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The last one is the one whose turn was last.
    servers: Vec<SocketAddr>,
    /// Every connection, some of which have ended.
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    passing: Arc<Passing>,
}

/// What of a connection is still passed on.
#[derive(Debug, Default)]
struct Passing {
    silent_to_server: AtomicBool,
    silent_to_client: AtomicBool,
    /// Whether a client of RocketMQ has sent a heartbeat over it.
    is_lane: AtomicBool,
}

/// In which direction an established connection falls silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// Either.
    Both,
    /// What servers send does not arrive.
    ToClient,
    /// What clients send does not arrive.
    ToServer,
}

/// Which established connections fall silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// All of them.
    All,
    /// Those over which a client of RocketMQ has sent a heartbeat.
    Lanes,
    /// The others.
    Data,
}

impl Balancer {
    /// Starts to listen, without a server to hand anything to.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)))
    }

    /// The same at an address of the caller's choice.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_at(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let state = Arc::<Mutex<State>>::default();
        thread::spawn({
            let state = Arc::clone(&state);
            move || {
                for client in listener.incoming().map_while(io::Result::ok) {
                    // A client that cannot be served is closed by being dropped.
                    let _ = hand_on(client, &state);
                }
            }
        });
        let target = Target::new(address, []);
        Ok(Self {
            target,
            address,
            state,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The target of clients that go through it.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sets the servers that connections from now on go to, in turn.
    pub fn serve(&self, servers: &[SocketAddr]) {
        self.state.lock().servers = servers.to_vec();
    }

    /// Closes every connection; clients come back by new ones.
    pub fn disconnect(&self) {
        self.state.lock().connections.drain(..).for_each(end);
    }

    /// Closes every second connection, as when one of two servers dies.
    pub fn disconnect_half(&self) {
        let mut chosen = false;
        let half = |_: &mut Connection| {
            chosen = !chosen;
            chosen
        };
        let mut state = self.state.lock();
        state.connections.extract_if(.., half).for_each(end);
    }

    /// Has established connections fall silent, as when an entry of a NAT or of a balancer is lost:
    /// they stay open, what is sent on them is taken, and nothing arrives, not even their end. New
    /// ones are served. Answers how many.
    pub fn silence(&self, direction: Direction, which: Which) -> usize {
        let state = self.state.lock();
        let chosen = state.connections.iter().filter(|connection| {
            let is_lane = connection.passing.is_lane.load(Ordering::Relaxed);
            which == Which::All || is_lane == (which == Which::Lanes)
        });
        let mut count = 0;
        for connection in chosen {
            count += 1;
            let passing = &connection.passing;
            if direction != Direction::ToClient {
                passing.silent_to_server.store(true, Ordering::Relaxed);
            }
            if direction != Direction::ToServer {
                passing.silent_to_client.store(true, Ordering::Relaxed);
            }
        }
        count
    }
}

fn end(connection: Connection) {
    let _ = connection.client.shutdown(Shutdown::Both);
    let _ = connection.server.shutdown(Shutdown::Both);
}

fn hand_on(client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let servers = {
        let mut state = state.lock();
        if !state.servers.is_empty() {
            state.servers.rotate_left(1);
        }
        state.servers.clone()
    };
    // A server that is down refuses immediately.
    let Some(server) = servers
        .iter()
        .find_map(|server| TcpStream::connect(server).ok())
    else {
        return client.shutdown(Shutdown::Both);
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let passing = Arc::<Passing>::default();
    state.lock().connections.push(Connection {
        client: client.try_clone()?,
        server: server.try_clone()?,
        passing: Arc::clone(&passing),
    });
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn({
        let passing = Arc::clone(&passing);
        move || relay(from, to, &passing.silent_to_server, Some(&passing.is_lane))
    });
    thread::spawn(move || relay(server, client, &passing.silent_to_client, None));
    Ok(())
}

/// Copies one way until that ends, then ends both, unless it has fallen silent. Notes whether a
/// client sends a heartbeat.
fn relay(
    mut from: TcpStream,
    mut to: TcpStream,
    silent: &AtomicBool,
    is_lane: Option<&AtomicBool>,
) {
    let mut buffer = vec![0; 65536];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        if silent.load(Ordering::Relaxed) {
            continue;
        }
        if let Some(is_lane) = is_lane
            && says_who_it_is(read)
        {
            is_lane.store(true, Ordering::Relaxed);
        }
        if to.write_all(read).is_err() {
            break;
        }
    }
    if !silent.load(Ordering::Relaxed) {
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

/// Whether a client's heartbeat is in there; those by which a proxy keeps its own connections are
/// not.
fn says_who_it_is(bytes: &[u8]) -> bool {
    const ID: &[u8] = b"\"clientID\":\"";
    const OWN: &[u8] = b"remora";
    bytes.windows(ID.len()).enumerate().any(|(at, window)| {
        window == ID
            && bytes
                .get(at + ID.len()..)
                .is_some_and(|id| !id.starts_with(OWN))
    })
}
