//! The configuration, from flags, environment variables and a file.

mod address;
mod credentials;
mod document;
mod entry;
mod error;
mod file;
pub mod keys;
mod listeners;
mod log;
mod network;
mod reload;
mod tables;
mod tls;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use remoting::Settings;
use route_cache::{Credentials, RouteConfig, UpstreamConfig};

pub use address::HostPort;
pub use error::ConfigError;
pub use listeners::{BrokerListenerConfig, ListenerConfig};
pub(crate) use log::check_filter;
pub use log::{LogConfig, LogFormat};
pub use network::Network;
pub use reload::Reloaded;
pub use tls::{CertificateConfig, ClientAuth, TlsConfig, UpstreamTlsConfig, Verify};

use crate::args::Args;
use address::socket_address;
use keys::{File, Metrics};

pub use document::{example, table};

/// Most threads that may be asked for.
const WORKERS_MAX: usize = 1024;

/// The whole configuration, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name servers, in the order in which they are first tried.
    pub name_servers: Vec<HostPort>,
    /// Where clients connect; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// Where clients of single brokers connect.
    pub broker_listeners: Vec<BrokerListenerConfig>,
    /// The address of the admin listener; without it, there is none.
    pub admin: Option<SocketAddr>,
    /// Threads that serve clients.
    pub workers: usize,
    /// The filter and the form of the log.
    pub log: LogConfig,
    /// Connections to brokers and name servers.
    pub upstream: UpstreamConfig,
    /// How long routes are used, and how many are kept.
    pub routes: RouteConfig,
    /// Limits and timeouts of single client connections.
    pub settings: Settings,
    /// Limits of all clients together and of their connections' times.
    pub limits: ClientLimits,
    /// The times of the drain on SIGTERM.
    pub drain: DrainConfig,
    /// The age at which client connections are closed.
    pub connection_age: ConnectionAgeConfig,
    /// The labels and label values of metrics that are configured.
    pub metrics: MetricLabels,
    /// TLS to clients, unless it is off.
    pub tls: Option<TlsConfig>,
    /// TLS to brokers and name servers, unless it is off.
    pub upstream_tls: Option<UpstreamTlsConfig>,
    /// Networks of balancers whose PROXY protocol headers are trusted.
    pub proxy_protocol_from: Vec<Network>,
    /// The file as it is in effect; values that wait for a restart are comments.
    pub effective: String,
    /// The keys from which all this is built.
    file: File,
}

/// What clients may not exceed; what single connections may not is in [`Settings`].
#[derive(Clone, Debug)]
pub struct ClientLimits {
    /// Most connections of all clients together.
    pub connections: usize,
    /// Most connections of clients from one address.
    pub connections_per_address: usize,
    /// From accepting a connection to its first whole frame.
    pub handshake_time: Duration,
    /// From a frame's first byte to its last.
    pub frame_time: Duration,
    /// How long a connection may carry nothing before it is closed.
    pub idle_time: Duration,
    /// The origins of web pages that may send requests of HTTP; `*` for all.
    pub cors: Arc<[String]>,
}

/// The times of the drain on SIGTERM.
#[derive(Clone, Copy, Debug)]
pub struct DrainConfig {
    /// How long clients are still accepted.
    pub wait: Duration,
    /// How long connections are then ended, in slices.
    pub time: Duration,
    /// When whatever is left ends, from the signal on.
    pub deadline: Duration,
}

/// The age at which client connections are closed.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionAgeConfig {
    /// As old as this, unless that is not limited.
    pub max: Option<Duration>,
    /// The part of `max` by which the age varies at random, up and down.
    pub jitter: f64,
}

/// The labels of all metrics, and the topics and groups that are label values.
#[derive(Clone, Debug)]
pub struct MetricLabels {
    /// The label `cluster` of every metric.
    pub cluster: String,
    /// The label `node_id` of every metric: the host's name unless configured.
    pub node_id: String,
    /// Topics that have a label value of their own.
    pub topics: Vec<String>,
    /// Consumer groups that have a label value of their own.
    pub groups: Vec<String>,
}

impl Config {
    /// Puts the configuration together: a flag or variable wins over the file.
    ///
    /// # Errors
    /// Names the key that is unknown, missing or has a value that it may not have.
    pub fn load(args: &Args) -> Result<Self, ConfigError> {
        let file = File::load(args)?;
        let credentials = credentials::credentials(&file, args)?;
        Self::build(file, credentials)
    }

    fn build(file: File, credentials: Option<Credentials>) -> Result<Self, ConfigError> {
        let (listeners, broker_listeners) = listeners::listeners(&file)?;
        let admin = admin(&file)?;
        listeners::refuse_taken_addresses(&listeners, &broker_listeners, admin)?;
        let Metrics { topics, groups } = file.metrics.clone();
        let workers = workers(&file)?;
        Ok(Self {
            name_servers: name_servers(&file)?,
            listeners,
            broker_listeners,
            admin,
            workers,
            log: log::log(&file)?,
            upstream: UpstreamConfig {
                credentials,
                workers,
                ..file.upstream()?
            },
            routes: file.routing()?,
            settings: file.settings()?,
            limits: file.client_limits()?,
            drain: file.drain()?,
            connection_age: file.connection_age()?,
            metrics: MetricLabels {
                cluster: file.cluster.clone(),
                node_id: file.node_id.clone().unwrap_or_else(host_name),
                topics,
                groups,
            },
            tls: file.tls()?,
            upstream_tls: file.upstream_tls()?,
            proxy_protocol_from: file.proxy_protocol_from()?,
            effective: document::effective(&file, &file),
            file,
        })
    }
}

/// The host's name, as the kernel has it; a container's is its pod's.
pub(crate) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn name_servers(file: &File) -> Result<Vec<HostPort>, ConfigError> {
    let given = file.name_servers.iter().map(|text| text.trim());
    let servers = given
        .map(|text| HostPort::parse("name_servers", text))
        .collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() {
        return Err(ConfigError::Missing {
            key: "name_servers",
            allowed:
                "give --name-server HOST:PORT[;HOST:PORT…], REMORA_NAME_SERVER or the file's key"
                    .into(),
        });
    }
    Ok(servers)
}

fn admin(file: &File) -> Result<Option<SocketAddr>, ConfigError> {
    let given = file.admin.as_deref();
    given.map(|text| socket_address("admin", text)).transpose()
}

fn workers(file: &File) -> Result<usize, ConfigError> {
    let Some(given) = file.workers else {
        return Ok(available_parallelism().map_or(1, NonZeroUsize::get));
    };
    usize::try_from(given)
        .ok()
        .filter(|number| (1..=WORKERS_MAX).contains(number))
        .ok_or_else(|| ConfigError::value("workers", given, "a number from 1 to 1024"))
}

#[cfg(test)]
mod tests;
