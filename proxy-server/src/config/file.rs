//! The configuration file.

use std::path::Path;
use std::time::Duration;

use processors::Settings;
use route_cache::{RouteConfig, UpstreamConfig};
use serde::Deserialize;

use super::{ConfigError, FRAME_LIMIT_MAX, FRAME_LIMIT_MIN};

/// Everything that the file may say. What it does not say is as documented beside each key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    /// `host:port` of every name server.
    pub(super) name_servers: Vec<String>,
    /// `ip:port` of the admin listener.
    pub(super) admin: Option<String>,
    /// Threads that serve clients.
    pub(super) workers: Option<u64>,
    /// What is logged.
    pub(super) log: Option<String>,
    /// How it is written.
    pub(super) log_format: Option<String>,
    /// Where clients connect.
    pub(super) listener: Vec<Listener>,
    /// Where clients of one broker connect.
    pub(super) broker_listener: Vec<BrokerListener>,
    /// Which clients are told of brokers' own listeners.
    pub(super) broker_addresses: Option<String>,
    /// Whether codes that administer are relayed.
    pub(super) admin_relay: Option<bool>,
    limits: Limits,
    routes: Routes,
    timeouts: Timeouts,
}

/// `[[listener]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listener {
    /// `ip:port`.
    pub(super) bind: String,
    /// `host:port` that clients are told.
    pub(super) advertise: Option<String>,
}

/// `[[broker_listener]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BrokerListener {
    /// The broker's name.
    pub(super) broker: String,
    /// `ip:port`.
    pub(super) bind: String,
    /// `host:port` that clients are told.
    pub(super) advertise: Option<String>,
    /// Whether it listens at the port minus two as well, for the VIP channel of old clients.
    #[serde(default)]
    pub(super) vip: bool,
}

/// `[limits]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    /// Most bytes of a frame, from clients and from brokers (16777216).
    frame_bytes: Option<u64>,
    /// Bytes that may wait to be written to one client (1048576).
    client_buffer_bytes: Option<u64>,
    /// Bytes that may wait to be written to one broker, per worker (33554432).
    broker_buffer_bytes: Option<u64>,
    /// Requests of one client that may be outstanding (16384).
    outstanding_requests: Option<u64>,
}

/// `[routes]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Routes {
    /// Age at which a route is loaded anew in the background (10000).
    refresh_ms: Option<u64>,
    /// Age at which a route is not answered without having been loaded anew (30000).
    expire_ms: Option<u64>,
    /// How long "no such topic" is believed (100).
    negative_ms: Option<u64>,
    /// Most topics that are kept (20000).
    capacity: Option<u64>,
    /// How often the list of brokers is loaded (10000).
    broker_refresh_ms: Option<u64>,
}

/// `[timeouts]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Timeouts {
    /// To connect to a broker or name server (1000).
    connect_ms: Option<u64>,
    /// For a broker to answer a send (2500).
    send_ms: Option<u64>,
    /// For a broker to answer offsets and messages sent back (4500).
    offset_ms: Option<u64>,
    /// For a broker to lock or unlock queues (800).
    lock_ms: Option<u64>,
    /// For a broker to answer anything else but pulls (2500).
    general_ms: Option<u64>,
}

impl File {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File(format!("config: cannot read {name}: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let before = text.get(..span.start).unwrap_or_default();
            let number = before.lines().count().max(1);
            let line = before.rsplit('\n').next().unwrap_or_default().len();
            let line = text.get(span.start - line..).unwrap_or_default();
            let line = line.lines().next().unwrap_or_default().trim();
            let number = number + usize::from(before.ends_with('\n') && !before.is_empty());
            // One line, whatever the value holds.
            let message = error.message().replace('\n', " ");
            ConfigError::File(format!("config: {name} line {number}, `{line}`: {message}"))
        })
    }

    pub(super) fn upstream(&self) -> Result<UpstreamConfig, ConfigError> {
        let default = UpstreamConfig::default();
        let Self {
            limits, timeouts, ..
        } = self;
        Ok(UpstreamConfig {
            connect_timeout: millis(
                "timeouts.connect_ms",
                timeouts.connect_ms,
                default.connect_timeout,
            )?,
            frame_limit: bytes(
                "limits.frame_bytes",
                limits.frame_bytes,
                default.frame_limit,
                FRAME_LIMIT_MIN,
            )?,
            write_buffer_limit: bytes(
                "limits.broker_buffer_bytes",
                limits.broker_buffer_bytes,
                default.write_buffer_limit,
                FRAME_LIMIT_MIN,
            )?,
            keep_alive: default.keep_alive,
        })
    }

    pub(super) fn routes(&self) -> Result<RouteConfig, ConfigError> {
        let default = RouteConfig::default();
        let routes = &self.routes;
        let expire_after = millis("routes.expire_ms", routes.expire_ms, default.expire_after)?;
        let refresh_after = millis(
            "routes.refresh_ms",
            routes.refresh_ms,
            default.refresh_after,
        )?;
        if refresh_after > expire_after {
            return Err(ConfigError::value(
                "routes.refresh_ms",
                refresh_after.as_millis(),
                "at most routes.expire_ms",
            ));
        }
        Ok(RouteConfig {
            refresh_after,
            expire_after,
            negative_ttl: millis(
                "routes.negative_ms",
                routes.negative_ms,
                default.negative_ttl,
            )?,
            capacity: number("routes.capacity", routes.capacity, default.capacity, 1)?,
            broker_refresh: millis(
                "routes.broker_refresh_ms",
                routes.broker_refresh_ms,
                default.broker_refresh,
            )?,
        })
    }

    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        let default = Settings::default();
        let Self {
            limits, timeouts, ..
        } = self;
        let outstanding = number(
            "limits.outstanding_requests",
            limits.outstanding_requests,
            default.outstanding_limit as u64,
            1,
        )?;
        Ok(Settings {
            client_buffer_limit: bytes(
                "limits.client_buffer_bytes",
                limits.client_buffer_bytes,
                default.client_buffer_limit,
                FRAME_LIMIT_MIN,
            )?,
            outstanding_limit: outstanding as usize,
            general_time: millis(
                "timeouts.general_ms",
                timeouts.general_ms,
                default.general_time,
            )?,
            lock_time: millis("timeouts.lock_ms", timeouts.lock_ms, default.lock_time)?,
            offset_time: millis(
                "timeouts.offset_ms",
                timeouts.offset_ms,
                default.offset_time,
            )?,
            send_time: millis("timeouts.send_ms", timeouts.send_ms, default.send_time)?,
            ..default
        })
    }
}

fn millis(key: &str, given: Option<u64>, default: Duration) -> Result<Duration, ConfigError> {
    const LONGEST: u64 = 3_600_000;
    match given {
        None => Ok(default),
        Some(millis) if (1..=LONGEST).contains(&millis) => Ok(Duration::from_millis(millis)),
        Some(other) => {
            let allowed = "a number of milliseconds from 1 to 3600000";
            Err(ConfigError::value(key, other, allowed))
        }
    }
}

fn bytes(
    key: &str,
    given: Option<u64>,
    default: usize,
    least: usize,
) -> Result<usize, ConfigError> {
    let allowed = format!("a number of bytes from {least} to {FRAME_LIMIT_MAX}");
    match given.map(usize::try_from) {
        None => Ok(default),
        Some(Ok(bytes)) if (least..=FRAME_LIMIT_MAX).contains(&bytes) => Ok(bytes),
        Some(_) => Err(ConfigError::value(key, given.unwrap_or_default(), &allowed)),
    }
}

fn number(key: &str, given: Option<u64>, default: u64, least: u64) -> Result<u64, ConfigError> {
    let allowed = format!("a number from {least} to {}", u32::MAX);
    match given {
        None => Ok(default),
        Some(number) if (least..=u64::from(u32::MAX)).contains(&number) => Ok(number),
        Some(other) => Err(ConfigError::value(key, other, &allowed)),
    }
}
