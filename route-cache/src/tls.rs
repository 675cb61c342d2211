//! TLS to brokers and name servers.

use std::io;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// TLS for connections to brokers and name servers, the same for all of them. Clones share the
/// setting: a replacement applies to all.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    current: Arc<RwLock<Arc<ClientConfig>>>,
}

impl UpstreamTls {
    /// A TLS setting with that configuration.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>) -> Self {
        Self {
            current: Arc::new(RwLock::new(config)),
        }
    }

    /// Replaces the configuration for new connections; established ones are not changed.
    pub fn replace(&self, config: Arc<ClientConfig>) {
        *self.current.write() = config;
    }

    /// Makes the TLS handshake on a connection to that address (`host:port`). The host is the name
    /// that the peer's certificate must have.
    pub(crate) async fn secure(
        &self,
        address: &str,
        stream: TcpStream,
    ) -> io::Result<Box<TlsStream<TcpStream>>> {
        let name = ServerName::try_from(host(address).to_owned()).map_err(io::Error::other)?;
        let config = self.current.read().clone();
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Box::new(stream))
    }
}

/// The host of `host:port`, an IPv6 address without its brackets.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inside.unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_judged_by_the_host() {
        for (address, expected) in [
            ("broker-a.mq:10911", "broker-a.mq"),
            ("10.0.0.1:10911", "10.0.0.1"),
            ("[fd00::1]:10911", "fd00::1"),
        ] {
            assert_eq!(host(address), expected);
            assert!(ServerName::try_from(host(address)).is_ok());
        }
    }
}
