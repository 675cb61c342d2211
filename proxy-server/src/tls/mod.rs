//! TLS to clients, and to brokers and name servers: certificates from files, read again when these
//! change.

mod files;
mod server;
mod upstream;
mod validity;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use route_cache::UpstreamTls;
use thiserror::Error;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tracing::{info, warn};

use crate::config::Config;
use files::{Checked, NamedFile, Watched};
use upstream::ToServers;

pub(crate) use server::ServerTls;

/// How often files are scanned. A change is read at the second scan that sees it.
const SCAN_PERIOD: Duration = Duration::from_secs(2);

/// A file that cannot be used.
#[derive(Debug, Error)]
#[error("{place}: {reason}")]
pub(crate) struct TlsError {
    /// The key of the configuration, and the file that it names.
    place: String,
    reason: String,
}

impl TlsError {
    fn new(file: &NamedFile, reason: impl ToString) -> Self {
        Self::of_key(&format!("{}: {}", file.key, file.name()), reason)
    }

    /// An error of a key that names no file.
    fn of_key(key: &str, reason: impl ToString) -> Self {
        Self {
            place: key.to_owned(),
            reason: reason.to_string(),
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// TLS of all connections, with the files that it needs.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    to_clients: Option<Arc<ServerTls>>,
    to_servers: Option<ToServers>,
    reload_errors: AtomicU64,
}

impl Tls {
    /// Reads every file that the configuration names.
    ///
    /// # Errors
    /// Names a file that cannot be used, and its key.
    pub(crate) fn load(config: &Config) -> Result<Self, TlsError> {
        let to_clients = config.tls.as_ref().map(ServerTls::load).transpose()?;
        let to_servers = config.upstream_tls.as_ref();
        let tls = Self {
            to_clients: to_clients.map(Arc::new),
            to_servers: to_servers.map(ToServers::load).transpose()?,
            reload_errors: AtomicU64::new(0),
        };
        for (certificate, not_after) in tls.expiries() {
            if validity::is_over(not_after) {
                warn!(certificate, "the certificate has expired");
            }
        }
        Ok(tls)
    }

    /// TLS for client connections; `None` if it is off.
    pub(crate) fn to_clients(&self) -> Option<Arc<ServerTls>> {
        self.to_clients.clone()
    }

    /// For connections to brokers and name servers, if these are secured.
    pub(crate) fn to_servers(&self) -> Option<UpstreamTls> {
        self.to_servers.as_ref().map(|to| to.tls().clone())
    }

    /// By file, until when each certificate that Remora presents is valid, its chain included, in
    /// seconds since 1970.
    pub(crate) fn expiries(&self) -> Vec<(String, i64)> {
        let to_clients = self.to_clients.iter().flat_map(|to| to.expiries());
        let to_servers = self.to_servers.iter().filter_map(ToServers::expiry);
        to_clients.chain(to_servers).collect()
    }

    /// How often a changed file could not be used.
    pub(crate) fn reload_errors(&self) -> u64 {
        self.reload_errors.load(Ordering::Relaxed)
    }

    /// Scans the files periodically, for ever.
    pub(crate) async fn watch(self: Arc<Self>) {
        if self.to_clients.is_none() && self.to_servers.is_none() {
            return;
        }
        loop {
            tokio::time::sleep(SCAN_PERIOD).await;
            self.scan_now().await;
        }
    }

    /// Reads at once what has changed: a change counts from the second scan that sees it.
    pub(crate) async fn reload(self: &Arc<Self>) {
        self.scan_now().await;
        self.scan_now().await;
    }

    /// Scans the files once.
    async fn scan_now(self: &Arc<Self>) {
        let this = self.clone();
        // They may lie on something slow.
        let _ = tokio::task::spawn_blocking(move || this.scan()).await;
    }

    /// Reads again what has changed.
    fn scan(&self) {
        let mut scan = Scan::default();
        if let Some(to_clients) = &self.to_clients {
            to_clients.scan(&mut scan);
        }
        if let Some(to_servers) = &self.to_servers {
            to_servers.scan(&mut scan);
        }
        self.reload_errors.fetch_add(scan.errors, Ordering::Relaxed);
    }
}

/// The errors of one scan of all files.
#[derive(Debug, Default)]
struct Scan {
    errors: u64,
}

impl Scan {
    /// Whether there is something new; a file that cannot be used is logged once.
    fn at<T: Checked>(&mut self, watched: &mut Watched<T>) -> bool {
        match watched.scan() {
            None => false,
            Some(Ok(())) => {
                info!(file = watched.name(), "file read again");
                true
            }
            Some(Err(error)) => {
                self.refuse(&error);
                false
            }
        }
    }

    fn refuse(&mut self, error: &TlsError) {
        self.errors += 1;
        warn!(%error, "changed file cannot be used; its previous content stays in use");
    }
}

#[cfg(test)]
mod tests;
