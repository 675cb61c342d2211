//! One client connection, from its first byte to its last.

use std::net::SocketAddr;

use bytes::Bytes;
use remoting::Session;
use remoting_codec::FrameLimits;
use remoting_transport::{Buffers, PumpError, pump};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tracing::{debug, info, warn};

use crate::protocol::FirstBytes;
use route_cache::rate::{LogThrottle, shown};

/// Connections that end because of an invalid frame.
static UNREADABLE: LogThrottle = LogThrottle::per_second(10);

/// Clients that leave: all of a replica may leave at the same time, or one may reconnect endlessly.
static LEFT: LogThrottle = LogThrottle::per_second(100);

/// Serves a client until it leaves, or must. Returns the first bytes of a client that speaks HTTP,
/// whose connection goes on.
pub(crate) async fn serve<S>(
    stream: &mut S,
    session: &Session,
    buffers: &Buffers,
    limits: FrameLimits,
) -> Option<(FirstBytes, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let outbox = session.outbox();
    let ended = pump(stream, outbox, buffers, limits, session).await;
    let ended = match ended {
        Err(PumpError::NoFrame { read, error }) => match FirstBytes::of(&read) {
            FirstBytes::Unknown => Err(PumpError::Protocol(error)),
            first => {
                session.close();
                return Some((first, read));
            }
        },
        ended => ended,
    };
    // Thousands of clients may leave at the same time, and ending a client's lanes takes long
    // compared to a request.
    buffers.turn().await;
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
    report(peer, ended);
    None
}

/// Logs how a connection has ended.
fn report(peer: SocketAddr, ended: Result<(), PumpError>) {
    match ended {
        Ok(()) => debug!(%peer, "connection ended"),
        Err(PumpError::Io(error)) => debug!(%peer, %error, "connection lost"),
        Err(PumpError::Protocol(error) | PumpError::NoFrame { error, .. }) => {
            // A peer that does so all the time does not fill the disk.
            if let Some(not_logged) = UNREADABLE.pass() {
                warn!(%peer, %error, not_logged, "client sent an invalid frame; connection closed");
            }
        }
    }
}

/// Logs how a connection of HTTP has ended.
pub(crate) fn report_http(peer: SocketAddr, ended: Result<(), hyper::Error>) {
    match ended {
        Ok(()) => debug!(%peer, "connection ended"),
        Err(error) if error.is_parse() || error.is_user() => {
            if let Some(not_logged) = UNREADABLE.pass() {
                warn!(%peer, %error, not_logged, "client sent invalid HTTP; connection closed");
            }
        }
        Err(error) => debug!(%peer, %error, "connection lost"),
    }
}

/// Writes a refusal, and reads on until the client has read it and closes: if bytes were left
/// unread, the connection would be reset, and the refusal lost.
pub(crate) async fn refuse<S>(stream: &mut S, refusal: &[u8])
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if stream.write_all(refusal).await.is_ok() && stream.shutdown().await.is_ok() {
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    }
}
