//! A load balancer for TCP connections, as plain as one in front of replicas can be.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
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
    /// Both ends of every connection, some of which have ended.
    connections: Vec<(TcpStream, TcpStream)>,
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
        let half = |_: &mut (TcpStream, TcpStream)| {
            chosen = !chosen;
            chosen
        };
        let mut state = self.state.lock();
        state.connections.extract_if(.., half).for_each(end);
    }
}

fn end((client, server): (TcpStream, TcpStream)) {
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

fn hand_on(client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let servers = {
        let mut state = state.lock();
        if !state.servers.is_empty() {
            state.servers.rotate_left(1);
        }
        state.servers.clone()
    };
    // One that is down refuses at once.
    let Some(server) = servers
        .iter()
        .find_map(|server| TcpStream::connect(server).ok())
    else {
        return client.shutdown(Shutdown::Both);
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    state
        .lock()
        .connections
        .push((client.try_clone()?, server.try_clone()?));
    relay(client.try_clone()?, server.try_clone()?);
    relay(server, client);
    Ok(())
}

/// Copies one way until that ends, then ends both.
fn relay(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
