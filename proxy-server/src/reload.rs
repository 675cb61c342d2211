//! What can be changed while the proxy runs.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use remoting::Settings;
use route_cache::UpstreamConfig;
use tracing::{info, warn};

use crate::args::Args;
use crate::config::{Config, check_filter};

/// Sets the filter of the log.
type Setter = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// What is logged, to be read and set.
#[derive(Clone)]
pub struct LogFilter(Arc<Shared>);

struct Shared {
    set: Box<Setter>,
    now: Mutex<String>,
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogFilter").field(&self.now()).finish()
    }
}

impl LogFilter {
    /// A filter that is `now` and is set by `set`, which says why when it cannot.
    #[must_use]
    pub fn new(
        now: &str,
        set: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            set: Box::new(set),
            now: Mutex::new(now.to_owned()),
        }))
    }

    /// The filter.
    #[must_use]
    pub fn now(&self) -> String {
        self.0.now.lock().clone()
    }

    /// Sets the filter.
    ///
    /// # Errors
    /// When it is none, with what is wrong.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        check_filter(filter)?;
        (self.0.set)(filter)?;
        filter.clone_into(&mut self.0.now.lock());
        Ok(())
    }
}

/// The configuration, as it is read again on SIGHUP.
#[derive(Debug)]
pub(crate) struct Reloader {
    args: Args,
    now: Config,
}

impl Reloader {
    pub(crate) fn new(args: Args, now: Config) -> Self {
        Self { args, now }
    }

    /// Reads the file again. What has changed and cannot be changed while the proxy runs is said, and stays; a file that is
    /// wrong changes nothing.
    pub(crate) fn reload(&mut self) -> Option<&Config> {
        let new = match Config::load(&self.args) {
            Ok(new) => new,
            Err(error) => {
                warn!(%error, "the configuration stays as it is");
                return None;
            }
        };
        let fixed = [
            (
                "name_servers",
                told(&self.now.name_servers) != told(&new.name_servers),
            ),
            (
                "listener",
                told(&self.now.listeners) != told(&new.listeners),
            ),
            (
                "broker_listener",
                told(&self.now.broker_listeners) != told(&new.broker_listeners),
            ),
            ("admin", self.now.admin != new.admin),
            ("workers", self.now.workers != new.workers),
            ("log_format", self.now.log.format != new.log.format),
            ("routes", told(&self.now.routes) != told(&new.routes)),
            (
                "limits.frame_bytes, limits.header_bytes, limits.broker_buffer_bytes, limits.broker_outstanding, timeouts.connect_ms or breaker",
                told_but_keys(&self.now.upstream) != told_but_keys(&new.upstream),
            ),
            (
                "cluster, node_id or metrics",
                told(&self.now.metrics) != told(&new.metrics),
            ),
            ("tls", told(&self.now.tls) != told(&new.tls)),
            (
                "upstream_tls",
                told(&self.now.upstream_tls) != told(&new.upstream_tls),
            ),
            (
                "proxy_protocol_from",
                self.now.proxy_protocol_from != new.proxy_protocol_from,
            ),
            (
                "credentials",
                self.now.upstream.credentials != new.upstream.credentials,
            ),
            (
                "limits.connections",
                self.now.limits.connections != new.limits.connections,
            ),
            (
                "limits.memory_bytes",
                self.now.settings.memory_limit != new.settings.memory_limit,
            ),
        ];
        for (keys, _) in fixed.iter().filter(|(_, changed)| *changed) {
            warn!(keys, "changed in the file, and takes a restart");
        }
        self.now.settings = Settings {
            memory_limit: self.now.settings.memory_limit,
            header_limit: self.now.settings.header_limit,
            ..new.settings
        };
        self.now.limits = new.limits;
        self.now.connection_age = new.connection_age;
        self.now.drain = new.drain;
        self.now.log = new.log;
        self.now.effective = new.effective;
        info!(
            "configuration read again: log, drain, and for connections from now on limits, timeouts, connection_age and slow_log"
        );
        Some(&self.now)
    }
}

fn told(what: &impl fmt::Debug) -> String {
    format!("{what:?}")
}

fn told_but_keys(upstream: &UpstreamConfig) -> String {
    told(&UpstreamConfig {
        credentials: None,
        ..upstream.clone()
    })
}
