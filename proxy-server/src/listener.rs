//! Accepting clients.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tracing::warn;

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

/// Accepts clients for ever, and gives each to the worker that has the fewest.
pub(crate) async fn accept(
    listener: TcpListener,
    advertise: Option<Arc<str>>,
    workers: Rc<[WorkerHandle]>,
) {
    loop {
        let accepted = match listener.accept().await {
            Ok((stream, peer)) => hand_over(stream, peer, advertise.as_ref()),
            Err(error) => Err(error),
        };
        match accepted {
            Ok(accepted) => {
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

fn hand_over(
    stream: TcpStream,
    peer: SocketAddr,
    advertise: Option<&Arc<str>>,
) -> io::Result<Accepted> {
    stream.set_nodelay(true)?;
    let advertised = match advertise {
        Some(address) => address.clone(),
        None => stream.local_addr()?.to_string().into(),
    };
    Ok(Accepted {
        stream: stream.into_std()?,
        peer,
        advertised,
    })
}
