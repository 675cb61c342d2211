//! One client connection, from its first byte to its last.

use remoting::Session;
use remoting_codec::FrameLimits;
use remoting_transport::{Buffers, PumpError, pump};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{debug, info, warn};

use route_cache::rate::{LogThrottle, shown};

/// Connections that end because of an invalid frame.
static UNREADABLE: LogThrottle = LogThrottle::per_second(10);

/// Clients that leave: all of a replica may leave at the same time, or one may reconnect endlessly.
static LEFT: LogThrottle = LogThrottle::per_second(100);

/// Serves a client until it leaves, or must.
pub(crate) async fn serve<S>(
    stream: &mut S,
    session: &Session,
    buffers: &Buffers,
    limits: FrameLimits,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let outbox = session.outbox();
    let ended = pump(stream, outbox, buffers, limits, session).await;
    let peer = session.peer();
    // Logged once for each client that has declared its identity; others may be probes.
    if let Some(client) = session.known_as() {
        let (client_id, language, version) = client;
        let lost = match &ended {
            Err(PumpError::Io(error)) => Some(error.to_string()),
            _ => None,
        };
        if let Some(not_logged) = LEFT.pass() {
            let client_id = shown(&client_id);
            info!(%peer, client_id, language, version, lost, not_logged, "client left");
        }
    }
    session.close();
    match ended {
        Ok(()) => debug!(%peer, "connection ended"),
        Err(PumpError::Io(error)) => debug!(%peer, %error, "connection lost"),
        Err(PumpError::Protocol(error)) => {
            // A peer that does so all the time does not fill the disk.
            if let Some(not_logged) = UNREADABLE.pass() {
                warn!(%peer, %error, not_logged, "client sent an invalid frame; connection closed");
            }
        }
    }
}
