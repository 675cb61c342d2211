//! Accepting clients.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use route_cache::Advertised;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::warn;

use crate::config::BrokerListenerConfig;
use crate::worker::{Accepted, WorkerHandle};

/// Connections that may wait to be accepted: all of a replica's clients may come at once when another
/// replica ends.
const BACKLOG: u32 = 4096;

/// How long to wait when no connection can be accepted (descriptors have run out, mostly).
const PAUSE: Duration = Duration::from_millis(100);

/// Listens at an address.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What the clients of a listener get to know, and whom they belong to.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// What they are told to be everybody's address, if that is configured.
    pub(crate) advertise: Option<Arc<str>>,
    /// Single brokers' listeners.
    pub(crate) brokers: Arc<[BrokerListenerConfig]>,
    /// The port to tell when nothing is configured.
    pub(crate) shared_port: u16,
    /// The broker that everything here is for.
    pub(crate) broker: Option<Arc<str>>,
    /// Its place among all listeners.
    pub(crate) number: usize,
}

impl Door {
    /// What a client is told that has connected to that address.
    fn advertised(&self, local: IpAddr) -> Advertised {
        let at = |port| Arc::from(SocketAddr::new(local, port).to_string());
        let own = |listener: &BrokerListenerConfig| match &listener.advertise {
            Some(advertise) => Arc::from(advertise.as_str()),
            // Who reaches the shared address at a host reaches brokers' ports there, too.
            None => match self.advertise.as_deref().and_then(|at| at.rsplit_once(':')) {
                Some((host, _)) => format!("{host}:{}", listener.bind.port()).into(),
                None => at(listener.bind.port()),
            },
        };
        let brokers = self.brokers.iter();
        Advertised {
            shared: self
                .advertise
                .clone()
                .unwrap_or_else(|| at(self.shared_port)),
            brokers: brokers.map(|l| (l.broker.clone(), own(l))).collect(),
        }
    }
}

/// Accepts clients for ever, and gives each to the worker that has the fewest.
/// Of more than `limit` clients in all, the last are closed at once.
pub(crate) async fn accept(
    listener: TcpListener,
    door: Door,
    workers: Arc<[WorkerHandle]>,
    limit: usize,
    refused: Arc<AtomicU64>,
) {
    let mut known = HashMap::new();
    loop {
        let accepted = match listener.accept().await {
            Ok((stream, peer)) => hand_over(stream, peer, &door, &mut known),
            Err(error) => Err(error),
        };
        match accepted {
            Ok(accepted) => {
                let connections = workers.iter().map(WorkerHandle::connections);
                if connections.sum::<usize>() >= limit {
                    refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let idlest = workers.iter().min_by_key(|worker| worker.connections());
                if let Some(worker) = idlest {
                    worker.send(accepted).await;
                }
            }
            // The client was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// `known` has what clients are told by the address that they connected to: a host has few.
fn hand_over(
    stream: TcpStream,
    peer: SocketAddr,
    door: &Door,
    known: &mut HashMap<IpAddr, Arc<Advertised>>,
) -> io::Result<Accepted> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?.ip().to_canonical();
    let advertised = known
        .entry(local)
        .or_insert_with(|| Arc::new(door.advertised(local)));
    Ok(Accepted {
        advertised: advertised.clone(),
        broker: door.broker.clone(),
        listener: door.number,
        stream: stream.into_std()?,
        peer,
    })
}
