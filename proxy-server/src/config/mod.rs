//! What the proxy is to do, from flags, environment variables and a file.

mod address;
mod file;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use processors::{BrokerAddresses, Settings};
use route_cache::{RouteConfig, UpstreamConfig};
use thiserror::Error;
use tracing_subscriber::EnvFilter;

pub use address::HostPort;

use crate::args::Args;
use file::{BrokerListener, File, Listener};

/// Where clients connect unless configured.
const DEFAULT_LISTEN: &str = "0.0.0.0:8080";

/// What is logged unless configured.
const DEFAULT_LOG: &str = "info";

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
        allowed: &'static str,
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
}

/// One port for clients.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// What its clients are told; without it, the address that they connected to.
    pub advertise: Option<HostPort>,
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
    /// Where it listens as well, for the VIP channel of old clients: the port minus two.
    pub vip: Option<SocketAddr>,
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
        let file = match &args.config {
            Some(path) => File::read(path)?,
            None => File::default(),
        };
        let listeners = listeners(args, &file)?;
        let broker_listeners = broker_listeners(args, &file)?;
        refuse_vip_collisions(&listeners, &broker_listeners)?;
        Ok(Self {
            name_servers: name_servers(args, &file)?,
            listeners,
            broker_listeners,
            admin: admin(args, &file)?,
            workers: workers(args, &file)?,
            log: log(args, &file)?,
            upstream: file.upstream()?,
            routes: file.routes()?,
            settings: settings(args, &file)?,
        })
    }
}

fn name_servers(args: &Args, file: &File) -> Result<Vec<HostPort>, ConfigError> {
    let given: Vec<&str> = match &args.name_server {
        Some(flag) => flag.split(';').collect(),
        None => file.name_servers.iter().map(String::as_str).collect(),
    };
    let given = given.into_iter().map(str::trim).filter(|s| !s.is_empty());
    let servers = given
        .map(|text| HostPort::parse("name_servers", text))
        .collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() {
        return Err(ConfigError::Missing {
            key: "name_servers",
            allowed: "give --name-server HOST:PORT[;HOST:PORT…], REMORA_NAME_SERVER or the file's key",
        });
    }
    Ok(servers)
}

fn listeners(args: &Args, file: &File) -> Result<Vec<ListenerConfig>, ConfigError> {
    let from_flag = |bind: &str| Listener {
        bind: bind.to_owned(),
        advertise: None,
    };
    let mut given = match &args.listen {
        Some(listen) => vec![from_flag(listen)],
        None if file.listener.is_empty() => vec![from_flag(DEFAULT_LISTEN)],
        None => file.listener.clone(),
    };
    if let Some(advertise) = &args.advertise {
        for listener in &mut given {
            listener.advertise = Some(advertise.clone());
        }
    }
    let parse = |listener: &Listener| {
        let advertise = listener.advertise.as_deref();
        let advertise = advertise.map(|text| HostPort::parse("listener.advertise", text));
        Ok(ListenerConfig {
            bind: socket_address("listener.bind", &listener.bind)?,
            advertise: advertise.transpose()?,
        })
    };
    given.iter().map(parse).collect()
}

fn broker_listeners(args: &Args, file: &File) -> Result<Vec<BrokerListenerConfig>, ConfigError> {
    let given = if args.broker_listen.is_empty() {
        file.broker_listener.clone()
    } else {
        let parse = |text: &String| {
            let allowed = "a broker's name and where to listen such as broker-a=0.0.0.0:10910";
            let invalid = || ConfigError::value("broker_listen", text, allowed);
            let (broker, bind) = text.split_once('=').ok_or_else(invalid)?;
            Ok(BrokerListener {
                broker: broker.to_owned(),
                bind: bind.to_owned(),
                advertise: None,
                vip: false,
            })
        };
        args.broker_listen
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()?
    };
    let mut listeners = Vec::<BrokerListenerConfig>::new();
    for listener in given {
        if listener.broker.is_empty() || listeners.iter().any(|l| l.broker == listener.broker) {
            let allowed = "the name of a broker that has no other listener";
            return Err(ConfigError::value(
                "broker_listener.broker",
                &listener.broker,
                allowed,
            ));
        }
        let bind = socket_address("broker_listener.bind", &listener.bind)?;
        let advertise = listener.advertise.as_deref();
        let advertise = advertise.map(|text| HostPort::parse("broker_listener.advertise", text));
        let vip_port = bind.port().checked_sub(VIP_OFFSET).filter(|port| *port > 0);
        let vip = vip_port.map(|port| SocketAddr::new(bind.ip(), port));
        listeners.push(BrokerListenerConfig {
            broker: listener.broker,
            bind,
            advertise: advertise.transpose()?,
            vip: vip.filter(|_| listener.vip),
        });
    }
    Ok(listeners)
}

/// A client's VIP channel must not end at another broker: no advertised port may be another's minus
/// two.
fn refuse_vip_collisions(
    listeners: &[ListenerConfig],
    brokers: &[BrokerListenerConfig],
) -> Result<(), ConfigError> {
    let told = |bind: &SocketAddr, advertise: &Option<HostPort>| {
        advertise.as_ref().map_or(bind.port(), HostPort::port)
    };
    let shared = listeners.iter().map(|l| told(&l.bind, &l.advertise));
    let own = brokers.iter().map(|l| told(&l.bind, &l.advertise));
    let all: Vec<_> = shared.chain(own).collect();
    for broker in brokers {
        let vip = told(&broker.bind, &broker.advertise).checked_sub(VIP_OFFSET);
        if vip.is_some_and(|vip| all.contains(&vip)) {
            return Err(ConfigError::value(
                "broker_listener.bind",
                broker.bind,
                "a port that clients do not know as another listener's plus two: old ones also use the port minus two",
            ));
        }
    }
    Ok(())
}

fn settings(args: &Args, file: &File) -> Result<Settings, ConfigError> {
    let which = args
        .broker_addresses
        .as_deref()
        .or(file.broker_addresses.as_deref());
    let broker_addresses = match which.unwrap_or("auto") {
        "auto" => BrokerAddresses::Auto,
        "always" => BrokerAddresses::Always,
        "never" => BrokerAddresses::Never,
        other => {
            let allowed = "auto, always or never";
            return Err(ConfigError::value("broker_addresses", other, allowed));
        }
    };
    let admin_relay = match args.admin_relay.as_deref() {
        None => file.admin_relay.unwrap_or_default(),
        Some("true") => true,
        Some("false") => false,
        Some(other) => return Err(ConfigError::value("admin_relay", other, "true or false")),
    };
    Ok(Settings {
        broker_addresses,
        admin_relay,
        ..file.settings()?
    })
}

fn admin(args: &Args, file: &File) -> Result<Option<SocketAddr>, ConfigError> {
    let given = args.admin.as_deref().or(file.admin.as_deref());
    given.map(|text| socket_address("admin", text)).transpose()
}

fn workers(args: &Args, file: &File) -> Result<usize, ConfigError> {
    let given = args.workers.clone();
    let Some(given) = given.or_else(|| file.workers.map(|number| number.to_string())) else {
        return Ok(available_parallelism().map_or(1, NonZeroUsize::get));
    };
    given
        .parse()
        .ok()
        .filter(|number| (1..=WORKERS_MAX).contains(number))
        .ok_or_else(|| ConfigError::value("workers", &given, "a number from 1 to 1024"))
}

fn log(args: &Args, file: &File) -> Result<LogConfig, ConfigError> {
    let filter = args.log.as_deref().or(file.log.as_deref());
    let filter = filter.unwrap_or(DEFAULT_LOG).to_owned();
    if EnvFilter::try_new(&filter).is_err() {
        let allowed = "a list of directives such as info or remora=debug,info";
        return Err(ConfigError::value("log", &filter, allowed));
    }
    let format = args.log_format.as_deref().or(file.log_format.as_deref());
    let format = match format.unwrap_or("auto") {
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

fn socket_address(key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    let allowed = "an IP address and port such as 0.0.0.0:8080 or [::]:8080";
    text.parse()
        .map_err(|_| ConfigError::value(key, text, allowed))
}

#[cfg(test)]
mod tests;
