//! Accepting clients.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use remoting::metrics::Limit;
use route_cache::rate::PerSecond;
use route_cache::{Advertised, Descriptors, Permit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::{debug, warn};

use crate::config::BrokerListenerConfig;
use crate::descriptors::{Spare, have_run_out};
use crate::entrance::{log_few_descriptors, log_limit};
use crate::worker::{Accepted, WorkerHandle};

/// Connections that may wait to be accepted: all of a replica's clients may come at once when another
/// replica ends.
const BACKLOG: u32 = 4096;

/// How long to wait when no connection can be accepted, or closed.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that cannot be accepted.
static NOT_ACCEPTED: PerSecond = PerSecond::new(1);

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

/// Most addresses for which it is kept what their clients are told. A host has few, and so has a balancer.
const KNOWN_MAX: usize = 256;

/// What a client has connected to: the address here, and what a balancer says.
type Place = (IpAddr, Option<SocketAddr>);

/// What the clients of a listener get to know, and whom they belong to.
#[derive(Debug)]
pub(crate) struct Door {
    /// What they are told to be everybody's address, if that is configured.
    pub(crate) advertise: Option<Arc<str>>,
    /// Single brokers' listeners.
    pub(crate) brokers: Arc<[BrokerListenerConfig]>,
    /// The port to tell when nothing is configured: two more than `port`, if this is a shared listener's VIP channel.
    pub(crate) shared_port: u16,
    /// The broker that everything here is for.
    pub(crate) broker: Option<Arc<str>>,
    /// Its place among all listeners.
    pub(crate) number: usize,
    /// The port here.
    pub(crate) port: u16,
    /// Whether clients come by way of a balancer that says who they are.
    pub(crate) balanced: bool,
    /// What clients are told, by what they have connected to.
    pub(crate) known: Mutex<HashMap<Place, Arc<Advertised>>>,
}

impl Door {
    /// What a client is told that has come to that address, and at a balancer to `destination`.
    pub(crate) fn advertised(
        &self,
        local: IpAddr,
        destination: Option<SocketAddr>,
    ) -> Arc<Advertised> {
        let mut known = self.known.lock();
        let there = (local, destination);
        if let Some(advertised) = known.get(&there) {
            return advertised.clone();
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        let advertised = Arc::new(self.find_advertised(local, destination));
        known.insert(there, advertised.clone());
        advertised
    }

    fn find_advertised(&self, local: IpAddr, destination: Option<SocketAddr>) -> Advertised {
        let host = destination.map_or(local, |there| there.ip());
        let at = |port| Arc::from(SocketAddr::new(host, port).to_string());
        // A balancer's port is known for this listener only; the others' are taken to be the same there as here.
        let this = destination.map_or(self.port, |there| there.port());
        let shared = || match &self.broker {
            None if destination.is_some() => {
                at(this.saturating_add(self.shared_port.saturating_sub(self.port)))
            }
            _ => at(self.shared_port),
        };
        let own = |listener: &BrokerListenerConfig| match &listener.advertise {
            Some(advertise) => Arc::from(advertise.as_str()),
            None if self.broker.as_deref() == Some(&*listener.broker)
                && self.advertise.is_none() =>
            {
                // Two less than that of the listener, if this is its VIP channel.
                at(this.saturating_add(listener.bind.port().saturating_sub(self.port)))
            }
            // Who reaches the shared address at a host reaches brokers' ports there, too.
            None => match self.advertise.as_deref().and_then(|at| at.rsplit_once(':')) {
                Some((host, _)) => format!("{host}:{}", listener.bind.port()).into(),
                None => at(listener.bind.port()),
            },
        };
        let brokers = self.brokers.iter();
        Advertised {
            shared: self.advertise.clone().unwrap_or_else(shared),
            brokers: brokers.map(|l| (l.broker.clone(), own(l))).collect(),
        }
    }
}

/// Accepts clients, and gives each to the worker that has the fewest.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor {
    pub(crate) workers: Arc<[WorkerHandle]>,
    /// Most clients in all; further ones are closed at once.
    pub(crate) limit: usize,
    /// How many were closed.
    pub(crate) refused: Arc<AtomicU64>,
    pub(crate) descriptors: Arc<Descriptors>,
    /// For when descriptors have run out all the same.
    pub(crate) spare: Arc<Spare>,
}

impl Acceptor {
    /// Accepts at that listener, for ever.
    pub(crate) async fn run(self, listener: TcpListener, door: Arc<Door>) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.welcome(stream, peer, &door).await,
                Err(error) => self.recover(error, &listener).await,
            }
        }
    }

    async fn welcome(&self, stream: TcpStream, peer: SocketAddr, door: &Arc<Door>) {
        let connections = self.workers.iter().map(WorkerHandle::connections);
        if connections.sum::<usize>() >= self.limit {
            drop(stream);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return log_limit(peer, Limit::Connections);
        }
        let Some(permit) = self.descriptors.try_take_client() else {
            drop(stream);
            return self.refuse_for_descriptors(peer);
        };
        match hand_over(stream, permit, peer, door) {
            Ok(accepted) => {
                let idlest = self.workers.iter().min_by_key(|w| w.connections());
                if let Some(worker) = idlest {
                    worker.send(accepted).await;
                }
            }
            // The client has gone already.
            Err(error) => debug!(%peer, %error, "cannot serve a connection"),
        }
    }

    fn refuse_for_descriptors(&self, peer: SocketAddr) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        log_few_descriptors(peer, &self.descriptors);
    }

    /// A connection could not be accepted.
    async fn recover(&self, error: io::Error, listener: &TcpListener) {
        if error.kind() == io::ErrorKind::ConnectionAborted {
            // The client was gone before it was accepted.
            return;
        }
        if have_run_out(&error)
            && let Some(peer) = self.spare.refuse(listener).await
        {
            return self.refuse_for_descriptors(peer);
        }
        if let Some(not_logged) = NOT_ACCEPTED.pass() {
            warn!(%error, not_logged, "cannot accept a connection");
        }
        tokio::time::sleep(PAUSE).await;
        self.spare.restore();
    }
}

fn hand_over(
    stream: TcpStream,
    permit: Permit,
    peer: SocketAddr,
    door: &Arc<Door>,
) -> io::Result<Accepted> {
    stream.set_nodelay(true)?;
    Ok(Accepted {
        local: stream.local_addr()?.ip().to_canonical(),
        door: door.clone(),
        stream: stream.into_std()?,
        permit,
        peer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(port: u16, broker: Option<&str>) -> Door {
        let listener = |broker: &str, port: u16, vip| BrokerListenerConfig {
            broker: broker.to_owned(),
            bind: SocketAddr::from(([0, 0, 0, 0], port)),
            advertise: None,
            vip: SocketAddr::from(([0, 0, 0, 0], port - 2)).into(),
            proxy_protocol: vip,
        };
        Door {
            advertise: None,
            brokers: [listener("a", 10910, true), listener("b", 10920, true)].into(),
            shared_port: 8080,
            broker: broker.map(Arc::from),
            port,
            number: 0,
            balanced: true,
            known: Mutex::default(),
        }
    }

    #[test]
    fn clients_are_told_what_they_connected_to() {
        let local = "10.0.0.1".parse().unwrap();
        let balancer = "203.0.113.7:20000".parse().ok();
        for (door, destination, shared, a, b) in [
            (
                door(8080, None),
                None,
                "10.0.0.1:8080",
                "10.0.0.1:10910",
                "10.0.0.1:10920",
            ),
            (
                door(8080, None),
                balancer,
                "203.0.113.7:20000",
                "203.0.113.7:10910",
                "203.0.113.7:10920",
            ),
            (
                door(10910, Some("a")),
                balancer,
                "203.0.113.7:8080",
                "203.0.113.7:20000",
                "203.0.113.7:10920",
            ),
            (
                door(10918, Some("b")),
                balancer,
                "203.0.113.7:8080",
                "203.0.113.7:10910",
                "203.0.113.7:20002",
            ),
            (
                door(10918, Some("b")),
                None,
                "10.0.0.1:8080",
                "10.0.0.1:10910",
                "10.0.0.1:10920",
            ),
        ] {
            for _ in 0..2 {
                let told = door.advertised(local, destination);
                assert_eq!(&*told.shared, shared);
                assert_eq!((&*told.brokers["a"], &*told.brokers["b"]), (a, b));
            }
        }
        // The VIP channel of the shared listener.
        let vip = Door {
            shared_port: 8080,
            ..door(8078, None)
        };
        for (destination, shared) in [
            (None, "10.0.0.1:8080"),
            ("203.0.113.7:19998".parse().ok(), "203.0.113.7:20000"),
        ] {
            assert_eq!(&*vip.advertised(local, destination).shared, shared);
        }
        let told = Door {
            advertise: Some("mq.example.com:8080".into()),
            ..door(8080, None)
        };
        let told = told.advertised(local, balancer);
        assert_eq!(&*told.shared, "mq.example.com:8080");
    }

    #[test]
    fn what_is_kept_does_not_grow() {
        let door = door(8080, None);
        let local = "10.0.0.1".parse().unwrap();
        for port in 1..2000 {
            let destination = SocketAddr::new(local, port);
            assert!(
                door.advertised(local, Some(destination))
                    .shared
                    .ends_with(&port.to_string())
            );
        }
        assert!(door.known.lock().len() <= KNOWN_MAX);
    }
}
