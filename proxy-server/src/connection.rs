//! One client connection, from its first byte to its last.

use std::rc::Rc;

use processors::Session;
use route_cache::transport::{Buffers, PumpError, pump};
use tokio::net::TcpStream;
use tracing::{debug, warn};

/// Serves a client until it leaves, or must.
pub(crate) async fn serve(
    mut stream: TcpStream,
    session: Rc<Session>,
    buffers: Rc<Buffers>,
    frame_limit: usize,
) {
    let outbox = session.outbox();
    let ended = pump(&mut stream, outbox, &buffers, frame_limit, &*session).await;
    session.close();
    let peer = session.peer();
    match ended {
        Ok(()) => debug!(%peer, "client left"),
        Err(PumpError::Io(error)) => debug!(%peer, %error, "client lost"),
        Err(PumpError::Protocol(error)) => {
            warn!(%peer, %error, "client sent what cannot be read, connection closed");
        }
    }
}
