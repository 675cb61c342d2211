//! Opening upstream connections.

use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_user_timeout,
};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tracing::debug;

use crate::config::UpstreamConfig;
use crate::error::UpstreamError;
use crate::peer::Peer;

/// How long sent bytes may stay unacknowledged by the other host before the kernel gives up a
/// connection. A NAT or firewall on the path may have forgotten the connection and drop its
/// packets.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(8);

/// How long a connection is idle before the kernel sends keep-alive probes, followed by their
/// interval and number. Lanes are idle most of the time; the loss of one is noticed within 10 s.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(4);
const KEEP_ALIVE_PAUSE: Duration = Duration::from_secs(2);
const KEEP_ALIVE_COUNT: u32 = 2;

/// An established connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Connects to `peer` at that address, within `attempts` times the time that a connection may take.
pub(super) async fn connect(
    config: &UpstreamConfig,
    peer: &Peer,
    address: &str,
    attempts: u32,
) -> Result<Stream, UpstreamError> {
    let failed = |reason: String| UpstreamError::Connect {
        peer: peer.clone(),
        reason: format!("{reason}; check that it runs, and that Remora can connect to it").into(),
    };
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        if let Err(error) = notice_death(&stream) {
            debug!(%peer, %error, "cannot set keep-alive and user timeout");
        }
        match &config.tls {
            // Boxed, because it is larger than all other state of a connection.
            Some(tls) => Box::pin(tls.secure(address, stream)).await.map(Stream::Tls),
            None => Ok(Stream::Plain(stream)),
        }
    };
    tokio::time::timeout(config.connect_timeout * attempts, connecting)
        .await
        .map_err(|_| failed(format!("{address} does not answer")))?
        .map_err(|error| failed(format!("{address}: {error}")))
}

/// Makes the kernel notice when the other host is unreachable, or no longer knows the connection.
fn notice_death(stream: &TcpStream) -> rustix::io::Result<()> {
    set_tcp_user_timeout(stream, UNACKNOWLEDGED_MAX.as_millis() as u32)?;
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    set_tcp_keepintvl(stream, KEEP_ALIVE_PAUSE)?;
    set_tcp_keepcnt(stream, KEEP_ALIVE_COUNT)
}
