//! Accepting clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use remoting::metrics::Limit;
use route_cache::rate::LogThrottle;
use route_cache::{Descriptors, Permit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::{debug, warn};

use crate::descriptors::{Spare, have_run_out};
use crate::entrance::{log_few_descriptors, log_limit};
use crate::listener_info::{Accepted, ListenerInfo};
use crate::worker_handle::WorkerHandle;

/// Connections that may wait to be accepted: when a replica ends, all of its clients may connect to
/// another at the same time.
const BACKLOG: u32 = 4096;

/// How long to wait when no connection can be accepted, or closed.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that cannot be accepted.
static NOT_ACCEPTED: LogThrottle = LogThrottle::per_second(1);

/// Binds the address and listens, with a queue of [`BACKLOG`] connections that are not accepted
/// yet.
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
    pub(crate) async fn run(self, listener: TcpListener, info: Arc<ListenerInfo>) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.welcome(stream, peer, &info).await,
                Err(error) => self.recover(error, &listener).await,
            }
        }
    }

    async fn welcome(&self, stream: TcpStream, peer: SocketAddr, info: &Arc<ListenerInfo>) {
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
        match hand_over(stream, permit, peer, info) {
            Ok(accepted) => {
                let idlest = self.workers.iter().min_by_key(|w| w.connections());
                if let Some(worker) = idlest {
                    worker.send(accepted).await;
                }
            }
            // The client has disconnected already.
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
            // The client disconnected before it was accepted.
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
    info: &Arc<ListenerInfo>,
) -> io::Result<Accepted> {
    stream.set_nodelay(true)?;
    Ok(Accepted {
        local: stream.local_addr()?.ip().to_canonical(),
        listener: info.clone(),
        stream: stream.into_std()?,
        permit,
        peer,
    })
}
