//! What the proxy is to do, from flags, environment variables and a file.

mod address;
mod credentials;
mod document;
mod file;
pub mod keys;
mod network;
mod tables;
mod tls;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use remoting::Settings;
use route_cache::{RouteConfig, UpstreamConfig};
use thiserror::Error;
use tracing_subscriber::EnvFilter;

pub use address::HostPort;
pub use network::Network;
pub use tls::{CertificateConfig, ClientAuth, TlsConfig, UpstreamTlsConfig, Verify};

use crate::args::Args;
use keys::{BrokerListener, File, Listener, Metrics};

pub use document::{example, table};

/// A client's VIP channel is at its broker's port minus this (`MixAll.brokerVIPChannel`).
const VIP_OFFSET: u16 = 2;

/// Most threads that may be asked for.
const WORKERS_MAX: usize = 1024;

/// Least bytes that a frame limit may be: less would refuse ordinary heartbeats.
const FRAME_LIMIT_MIN: usize = 64 * 1024;

/// Most bytes that a frame limit may be: header lengths have 24 bits, and a broker takes no more.
const FRAME_LIMIT_MAX: usize = 1024 * 1024 * 1024;

/// What is wrong with the configuration: which key, what it was given and what is allowed.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read or is no such file.
    #[error("{0}")]
    File(String),
    /// A key that must be set is not.
    #[error("{key} is not set: {allowed}")]
    Missing {
        /// The key.
        key: &'static str,
        /// How it is set.
        allowed: Cow<'static, str>,
    },
    /// A key's value is none that it may have.
    #[error("{key}: {given:?} is not {allowed}")]
    Value {
        /// The key.
        key: String,
        /// What it was given.
        given: String,
        /// What is allowed.
        allowed: String,
    },
}

impl ConfigError {
    fn value(key: &str, given: impl ToString, allowed: &str) -> Self {
        Self::Value {
            key: key.to_owned(),
            given: given.to_string(),
            allowed: allowed.to_owned(),
        }
    }
}

/// The whole configuration, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name servers, in the order in which they are first tried.
    pub name_servers: Vec<HostPort>,
    /// Where clients connect; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// Where clients of single brokers connect.
    pub broker_listeners: Vec<BrokerListenerConfig>,
    /// Where the admin listener is, if there is one.
    pub admin: Option<SocketAddr>,
    /// Threads that serve clients.
    pub workers: usize,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Connections to brokers and name servers.
    pub upstream: UpstreamConfig,
    /// Routes.
    pub routes: RouteConfig,
    /// Client connections.
    pub settings: Settings,
    /// What clients may not exceed.
    pub limits: ClientLimits,
    /// What happens on SIGTERM.
    pub drain: DrainConfig,
    /// How old connections get.
    pub connection_age: ConnectionAgeConfig,
    /// Labels of metrics.
    pub metrics: MetricLabels,
    /// TLS to clients, unless it is off.
    pub tls: Option<TlsConfig>,
    /// TLS to brokers and name servers, unless it is off.
    pub upstream_tls: Option<UpstreamTlsConfig>,
    /// Networks whose PROXY protocol headers are believed.
    pub proxy_protocol_from: Vec<Network>,
    /// The file as it is in effect.
    pub effective: String,
}

/// What clients may not exceed; what single connections may not is in [`Settings`].
#[derive(Clone, Debug)]
pub struct ClientLimits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_address: usize,
    /// From accepting a connection to its first whole frame.
    pub handshake_time: Duration,
    /// From a frame's first byte to its last.
    pub frame_time: Duration,
    /// Without a sign of life.
    pub idle_time: Duration,
}

/// What happens on SIGTERM.
#[derive(Clone, Copy, Debug)]
pub struct DrainConfig {
    /// How long clients are still accepted.
    pub wait: Duration,
    /// How long connections are then ended, in slices.
    pub time: Duration,
    /// When whatever is left ends, from the signal on.
    pub deadline: Duration,
}

/// How old connections get.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionAgeConfig {
    /// As old as this, unless that is not limited.
    pub max: Option<Duration>,
    /// Give or take this part of it.
    pub jitter: f64,
}

/// Labels of metrics.
#[derive(Clone, Debug)]
pub struct MetricLabels {
    /// Of everything.
    pub cluster: String,
    /// Of everything; the host's name, if there is none.
    pub node_id: String,
    /// Topics that have a label value of their own.
    pub topics: Vec<String>,
    /// Consumer groups, likewise.
    pub groups: Vec<String>,
}

/// One port for clients.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// What its clients are told; without it, the address that they connected to.
    pub advertise: Option<HostPort>,
    /// Where it listens as well, for clients' VIP channel: the port minus two.
    pub vip: Option<SocketAddr>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
}

/// One port for one broker's clients.
#[derive(Clone, Debug)]
pub struct BrokerListenerConfig {
    /// The broker's name.
    pub broker: String,
    /// Where it listens.
    pub bind: SocketAddr,
    /// What clients are told; without it, the host that they connected to and this port.
    pub advertise: Option<HostPort>,
    /// Where it listens as well, for clients' VIP channel: the port minus two.
    pub vip: Option<SocketAddr>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Directives of tracing-subscriber's `EnvFilter`.
    pub filter: String,
    /// How it is written.
    pub format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Lines for people on a terminal, else JSON.
    Auto,
    /// Lines for people.
    Human,
    /// An object a line.
    Json,
}

impl Config {
    /// Puts the configuration together: a flag or variable wins over the file.
    ///
    /// # Errors
    /// Names the key that is unknown, missing or has a value that it may not have.
    pub fn load(args: &Args) -> Result<Self, ConfigError> {
        let file = File::load(args)?;
        let listeners = file
            .listener
            .iter()
            .map(listener)
            .collect::<Result<Vec<_>, _>>()?;
        let broker_listeners = broker_listeners(&file)?;
        refuse_vip_collisions(&listeners, &broker_listeners)?;
        let Metrics { topics, groups } = file.metrics.clone();
        Ok(Self {
            name_servers: name_servers(&file)?,
            listeners,
            broker_listeners,
            admin: admin(&file)?,
            workers: workers(&file)?,
            log: log(&file)?,
            upstream: UpstreamConfig {
                credentials: credentials::credentials(&file, args)?,
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
            effective: document::effective(&file),
        })
    }
}

/// The host's name, as the kernel has it; a container's is its pod's.
fn host_name() -> String {
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

fn listener(given: &Listener) -> Result<ListenerConfig, ConfigError> {
    let advertise = given.advertise.as_deref();
    let advertise = advertise.map(|text| HostPort::parse("listener.advertise", text));
    let bind = socket_address("listener.bind", &given.bind)?;
    Ok(ListenerConfig {
        bind,
        advertise: advertise.transpose()?,
        vip: vip("listener.bind", bind, given.vip)?,
        proxy_protocol: given.proxy_protocol,
    })
}

/// Where a listener's VIP channel is, if it is wanted.
fn vip(key: &str, bind: SocketAddr, wanted: bool) -> Result<Option<SocketAddr>, ConfigError> {
    if !wanted {
        return Ok(None);
    }
    let port = bind.port().checked_sub(VIP_OFFSET).filter(|port| *port > 0);
    let Some(port) = port else {
        let allowed = "an address whose port is above 2, which vip = true takes";
        return Err(ConfigError::value(key, bind, allowed));
    };
    Ok(Some(SocketAddr::new(bind.ip(), port)))
}

fn broker_listeners(file: &File) -> Result<Vec<BrokerListenerConfig>, ConfigError> {
    let mut listeners = Vec::<BrokerListenerConfig>::new();
    for listener in &file.broker_listener {
        let BrokerListener {
            broker,
            bind,
            advertise,
            vip,
            proxy_protocol,
        } = listener;
        if broker.is_empty() || listeners.iter().any(|l| l.broker == *broker) {
            let allowed = "the name of a broker that has no other listener";
            return Err(ConfigError::value(
                "broker_listener.broker",
                broker,
                allowed,
            ));
        }
        let bind = socket_address("broker_listener.bind", bind)?;
        let advertise = advertise.as_deref();
        let advertise = advertise.map(|text| HostPort::parse("broker_listener.advertise", text));
        let vip = self::vip("broker_listener.bind", bind, *vip)?;
        listeners.push(BrokerListenerConfig {
            broker: broker.clone(),
            bind,
            advertise: advertise.transpose()?,
            vip,
            proxy_protocol: *proxy_protocol,
        });
    }
    Ok(listeners)
}

/// A client's VIP channel must not end at another listener: no advertised port may be another's minus two. Of a shared listener
/// that has none, clients with a VIP channel go astray anyway.
fn refuse_vip_collisions(
    listeners: &[ListenerConfig],
    brokers: &[BrokerListenerConfig],
) -> Result<(), ConfigError> {
    let told = |bind: &SocketAddr, advertise: &Option<HostPort>| {
        advertise.as_ref().map_or(bind.port(), HostPort::port)
    };
    let shared = listeners.iter().map(|l| {
        let told = told(&l.bind, &l.advertise);
        ("listener.bind", l.bind, told, l.vip.is_some())
    });
    let own = brokers.iter().map(|l| {
        let told = told(&l.bind, &l.advertise);
        ("broker_listener.bind", l.bind, told, true)
    });
    let all: Vec<_> = shared.chain(own).collect();
    for (key, bind, port, has_vip) in &all {
        let vip = port.checked_sub(VIP_OFFSET).filter(|_| *has_vip);
        let ends_elsewhere = |(.., told, _): &(_, _, u16, _)| vip == Some(*told);
        if all.iter().any(ends_elsewhere) {
            return Err(ConfigError::value(
                key,
                bind,
                "a port that clients do not know as another listener's plus two: some also use the port minus two",
            ));
        }
    }
    Ok(())
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

fn log(file: &File) -> Result<LogConfig, ConfigError> {
    let filter = file.log.clone();
    if check_filter(&filter).is_err() {
        let allowed = "a list of directives such as info or remora=debug,info";
        return Err(ConfigError::value("log", &filter, allowed));
    }
    let format = match file.log_format.as_str() {
        "auto" => LogFormat::Auto,
        "human" => LogFormat::Human,
        "json" => LogFormat::Json,
        other => {
            let allowed = "auto, human or json";
            return Err(ConfigError::value("log_format", other, allowed));
        }
    };
    Ok(LogConfig { filter, format })
}

/// Checks the directives of a log filter. A word that is no level would be taken for the name of a target: a typing error would
/// silence the log.
///
/// # Errors
/// When it is none, with what is wrong.
pub(crate) fn check_filter(filter: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
    for directive in filter.split(',').map(str::trim) {
        let is_word = !directive.is_empty() && !directive.contains(['=', '[']);
        if is_word
            && !LEVELS
                .iter()
                .any(|level| level.eq_ignore_ascii_case(directive))
        {
            let levels = LEVELS.join(", ");
            return Err(format!("{directive} is no level: one of {levels}"));
        }
    }
    Ok(())
}

fn socket_address(key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    let allowed = "an IP address and port such as 0.0.0.0:8080 or [::]:8080";
    text.parse()
        .map_err(|_| ConfigError::value(key, text, allowed))
}

#[cfg(test)]
mod tests;
