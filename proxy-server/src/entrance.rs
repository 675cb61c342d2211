//! The bytes before a client's first frame: a balancer's PROXY header, then the TLS handshake.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use remoting::metrics::Limit;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use crate::config::{Config, Network};
use crate::proxy_header::{self, Endpoints, HeaderError};
use crate::tls::ServerTls;
use route_cache::Descriptors;
use route_cache::rate::LogThrottle;

/// The first byte of a TLS handshake; that of a frame of 369 MB.
const HANDSHAKE: u8 = 0x16;

/// Limits log lines about refused clients, of all workers together.
static REFUSED: LogThrottle = LogThrottle::per_second(10);

/// The checks that every client must pass, at each listener.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    tls: Option<Arc<ServerTls>>,
    /// Balancers whose PROXY headers are trusted.
    balancers: Arc<[Network]>,
}

/// A connection over which frames come from now on.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) stream: Stream,
    /// The client's address; behind a balancer, that from the PROXY header.
    pub(crate) peer: SocketAddr,
    /// The address that the client has connected to, from the balancer's PROXY header.
    pub(crate) destination: Option<SocketAddr>,
}

#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    /// Boxed, because it is a hundred times larger.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why a client is not let in.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("its address is not in proxy_protocol_from")]
    NoBalancer,
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("it does not use TLS, which is required")]
    Plain,
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("its handshake takes too long")]
    Late,
    /// The client has disconnected, or its connection has failed.
    #[error("{0}")]
    Gone(io::Error),
}

impl Arrival {
    /// A connection that needed no checks.
    pub(crate) fn plain(stream: TcpStream, peer: SocketAddr) -> Self {
        Self {
            stream: Stream::Plain(stream),
            peer,
            destination: None,
        }
    }
}

impl Entrance {
    pub(crate) fn new(config: &Config, tls: Option<Arc<ServerTls>>) -> Self {
        Self {
            tls,
            balancers: config.proxy_protocol_from.clone().into(),
        }
    }

    /// Whether there is nothing to pass.
    pub(crate) fn is_open(&self, balanced: bool) -> bool {
        self.tls.is_none() && !balanced
    }

    /// Lets a connection from that address in, which is a balancer's if `balanced`. PROXY header
    /// and TLS handshake may take `time` together.
    ///
    /// # Errors
    /// When it must be closed instead.
    pub(crate) async fn pass(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        balanced: bool,
        time: Duration,
    ) -> Result<Arrival, Refusal> {
        let passing = self.shake_hands(stream, from, balanced);
        timeout(time, passing).await.map_err(|_| Refusal::Late)?
    }

    async fn shake_hands(
        &self,
        mut stream: TcpStream,
        from: SocketAddr,
        balanced: bool,
    ) -> Result<Arrival, Refusal> {
        let mut said = None;
        if balanced {
            let known = self.balancers.iter().any(|net| net.contains(from.ip()));
            if !known {
                return Err(Refusal::NoBalancer);
            }
            said = proxy_header::read(&mut stream)
                .await
                .map_err(|error| match error {
                    HeaderError::Io(error) => Refusal::Gone(error),
                    invalid => Refusal::Header(invalid),
                })?;
        }
        let stream = match &self.tls {
            None => Stream::Plain(stream),
            Some(tls) if begins_tls(&stream).await.map_err(Refusal::Gone)? => {
                let secured = tls.accept(stream).await.map_err(Refusal::Tls)?;
                Stream::Tls(Box::new(secured))
            }
            Some(tls) if tls.is_required() => return Err(Refusal::Plain),
            Some(_) => Stream::Plain(stream),
        };
        Ok(Arrival {
            stream,
            peer: said.map_or(from, |said: Endpoints| said.source),
            destination: said.map(|said| said.destination),
        })
    }
}

/// Whether a TLS handshake begins, by the first byte, as RocketMQ's own servers tell
/// (`TlsModeHandler`).
async fn begins_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first == [HANDSHAKE]),
    }
}

/// Logs that a client was refused at a limit.
pub(crate) fn log_limit(peer: SocketAddr, limit: Limit) {
    if let Some(not_logged) = REFUSED.pass() {
        warn!(%peer, limit = limit.name(), not_logged, "client refused");
    }
}

/// Logs that a client was refused because no descriptor was free.
pub(crate) fn log_few_descriptors(peer: SocketAddr, descriptors: &Descriptors) {
    if let Some(not_logged) = REFUSED.pass() {
        let (clients, lanes) = (descriptors.clients(), descriptors.lanes());
        warn!(
            %peer,
            limit = Limit::Connections.name(),
            clients,
            lanes,
            not_logged,
            "client refused: the limit of open files leaves no room; raise it (ulimit -n, LimitNOFILE)"
        );
    }
}

impl Refusal {
    /// Logs it once for each client, up to a rate, so that strangers cannot fill the disk.
    pub(crate) fn log(&self, from: SocketAddr) {
        if matches!(self, Self::Gone(_) | Self::Late) {
            debug!(peer = %from, error = %self, "client disconnected or too slow before its first frame");
        } else if let Some(not_logged) = REFUSED.pass() {
            warn!(peer = %from, error = %self, not_logged, "client refused");
        }
    }
}
