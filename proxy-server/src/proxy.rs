//! The proxy as a whole.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use crate::args::Args;
use crate::config::Config;
use crate::listener;
use crate::listener_info::{ListenerInfo, listener_infos};
use crate::reload::{LogFilter, Reloader};
use crate::running::{Parts, Running};
use crate::signals::Signals;
use crate::tls::Tls;

/// A proxy that listens; clients that connect wait until it runs.
#[derive(Debug)]
pub struct Proxy {
    config: Config,
    runtime: LocalRuntime,
    listeners: Vec<(TcpListener, ListenerInfo)>,
    admin: Option<TcpListener>,
    tls: Arc<Tls>,
}

/// Checks the files that the configuration names.
///
/// # Errors
/// Names a file that is missing or cannot be used.
pub fn check(config: &Config) -> anyhow::Result<()> {
    Tls::load(config)?;
    Ok(())
}

impl Proxy {
    /// Reads every certificate and binds every port.
    ///
    /// # Errors
    /// When one cannot be used, is taken or may not be had.
    pub fn bind(config: Config) -> anyhow::Result<Self> {
        let tls = Arc::new(Tls::load(&config)?);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .context("cannot start the runtime")?;
        let bind = |address: SocketAddr| {
            listener::bind(address).with_context(|| format!("cannot listen on {address}"))
        };
        let (listeners, admin) = runtime.block_on(async {
            let mut listeners = Vec::new();
            for (at, info) in listener_infos(&config) {
                listeners.push((bind(at)?, info));
            }
            anyhow::Ok((listeners, config.admin.map(bind).transpose()?))
        })?;
        Ok(Self {
            config,
            runtime,
            listeners,
            admin,
            tls,
        })
    }

    /// Where clients connect, in the order of the configuration; single brokers' listeners come
    /// last.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn local_addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        let listeners = self.listeners.iter();
        listeners
            .map(|(listener, _)| listener.local_addr())
            .collect()
    }

    /// The address of the admin listener; `None` if none is configured.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
            .as_ref()
            .and_then(|admin| admin.local_addr().ok())
    }

    /// Serves until a signal ends it. `signals` is called once, first of all, on the proxy's
    /// runtime.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn run<S: Signals>(
        self,
        args: Args,
        filter: LogFilter,
        signals: impl FnOnce() -> S,
    ) -> anyhow::Result<()> {
        let runtime = self.runtime;
        let parts = Parts {
            reloader: Reloader::new(args, self.config.clone()),
            config: self.config,
            listeners: self.listeners,
            admin: self.admin,
            tls: self.tls,
            filter,
        };
        runtime.block_on(async {
            let signals = signals();
            Running::start(parts)?.run(signals).await;
            Ok(())
        })
    }
}
