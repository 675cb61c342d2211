//! From the file's tables to settings, each value within its bounds.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use messaging::Policy;
use remoting::{AdvertiseBrokers, Settings};
use route_cache::{RouteConfig, UpstreamConfig};

use super::error::ConfigError;
use super::keys::{File, Limits};
use super::{ClientLimits, ConnectionAgeConfig, DrainConfig};

/// Least bytes that a frame limit may be: less would refuse ordinary heartbeats.
const FRAME_LIMIT_MIN: usize = 64 * 1024;

/// Most bytes that a frame limit may be: header lengths have 24 bits, and a broker takes no more.
const FRAME_LIMIT_MAX: usize = 1024 * 1024 * 1024;

/// Least memory that may be allowed. Half of what clients may hold of it, 12 MiB, is what one frame
/// may take while it arrives.
const MEMORY_LIMIT_MIN: usize = 64 * 1024 * 1024;

/// What the limit of a header may be. The least is what a send with a few properties takes.
const HEADER_LIMITS: RangeInclusive<usize> = 4 * 1024..=256 * 1024;

/// Whether a browser may write that origin, or it stands for all.
fn is_origin(text: &str) -> bool {
    let is_part = |text: &str| {
        let is_sign = |byte: u8| b"-.:[]_".contains(&byte);
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_sign(byte);
        !text.is_empty() && text.bytes().all(is_allowed)
    };
    let parts = text.split_once("://");
    text == "*" || parts.is_some_and(|(scheme, host)| is_part(scheme) && is_part(host))
}

impl File {
    pub(super) fn upstream(&self) -> Result<UpstreamConfig, ConfigError> {
        let limits = &self.limits;
        Ok(UpstreamConfig {
            connect_timeout: millis("timeouts.connect_ms", self.timeouts.connect_ms)?,
            frame_limit: bytes("limits.frame_bytes", limits.frame_bytes)?,
            write_buffer_limit: bytes("limits.broker_buffer_bytes", limits.broker_buffer_bytes)?,
            outstanding_limit: number("limits.broker_outstanding", limits.broker_outstanding)?
                as usize,
            breaker_failures: number("breaker.failures", self.breaker.failures)? as u32,
            breaker_probe: millis("breaker.probe_ms", self.breaker.probe_ms)?,
            header_limit: self.header_limit()?,
            ..UpstreamConfig::default()
        })
    }

    pub(super) fn routing(&self) -> Result<RouteConfig, ConfigError> {
        let routes = &self.routes;
        let expire_after = millis("routes.expire_ms", routes.expire_ms)?;
        let refresh_after = millis("routes.refresh_ms", routes.refresh_ms)?;
        if refresh_after > expire_after {
            let allowed = "at most routes.expire_ms";
            let given = routes.refresh_ms;
            return Err(ConfigError::value("routes.refresh_ms", given, allowed));
        }
        Ok(RouteConfig {
            refresh_after,
            expire_after,
            negative_ttl: millis_or_none("routes.negative_ms", routes.negative_ms)?,
            capacity: number("routes.capacity", routes.capacity)?,
            broker_refresh: millis("routes.broker_refresh_ms", routes.broker_refresh_ms)?,
        })
    }

    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        let Self {
            limits, timeouts, ..
        } = self;
        let outstanding = "limits.outstanding_requests";
        let policy = Policy {
            outstanding_limit: number(outstanding, limits.outstanding_requests)? as usize,
            general_time: millis("timeouts.general_ms", timeouts.general_ms)?,
            lock_time: millis("timeouts.lock_ms", timeouts.lock_ms)?,
            offset_time: millis("timeouts.offset_ms", timeouts.offset_ms)?,
            send_time: millis("timeouts.send_ms", timeouts.send_ms)?,
            send_elsewhere: self.send_elsewhere,
            refuses_mixed_groups: self.refuses_mixed_groups()?,
            ..Policy::default()
        };
        Ok(Settings {
            policy: Arc::new(policy),
            client_buffer_limit: bytes("limits.client_buffer_bytes", limits.client_buffer_bytes)?,
            slow_threshold: millis_or_none("slow_log.threshold_ms", self.slow_log.threshold_ms)?,
            slow_per_second: number("slow_log.per_second", self.slow_log.per_second)? as u32,
            memory_limit: self.memory_limit()?,
            header_limit: self.header_limit()?,
            heartbeat_limit: self.heartbeat_limit()?,
            broker_addresses: self.broker_addresses()?,
            admin_relay: self.admin_relay,
        })
    }

    fn memory_limit(&self) -> Result<usize, ConfigError> {
        let given = self.limits.memory_bytes;
        let whole = usize::try_from(given).ok();
        whole
            .filter(|bytes| *bytes >= MEMORY_LIMIT_MIN)
            .ok_or_else(|| {
                let allowed = format!("a number of bytes from {MEMORY_LIMIT_MIN}");
                ConfigError::value("limits.memory_bytes", given, &allowed)
            })
    }

    fn header_limit(&self) -> Result<usize, ConfigError> {
        let given = self.limits.header_bytes;
        let fitting = usize::try_from(given).ok();
        fitting
            .filter(|bytes| HEADER_LIMITS.contains(bytes))
            .ok_or_else(|| {
                let (least, most) = (HEADER_LIMITS.start(), HEADER_LIMITS.end());
                let allowed = format!("a number of bytes from {least} to {most}");
                ConfigError::value("limits.header_bytes", given, &allowed)
            })
    }

    fn heartbeat_limit(&self) -> Result<usize, ConfigError> {
        let frame_limit = bytes("limits.frame_bytes", self.limits.frame_bytes)?;
        let given = self.limits.heartbeat_bytes;
        // The default follows a lower limit of frames.
        if given == Limits::default().heartbeat_bytes {
            return Ok(frame_limit.min(given as usize));
        }
        let fitting = usize::try_from(given).ok();
        fitting
            .filter(|bytes| (FRAME_LIMIT_MIN..=frame_limit).contains(bytes))
            .ok_or_else(|| {
                let allowed = format!(
                    "a number of bytes from {FRAME_LIMIT_MIN} to limits.frame_bytes ({frame_limit})"
                );
                ConfigError::value("limits.heartbeat_bytes", given, &allowed)
            })
    }

    fn broker_addresses(&self) -> Result<AdvertiseBrokers, ConfigError> {
        match self.broker_addresses.as_str() {
            "auto" => Ok(AdvertiseBrokers::Auto),
            "always" => Ok(AdvertiseBrokers::Always),
            "never" => Ok(AdvertiseBrokers::Never),
            other => {
                let allowed = "auto, always or never";
                Err(ConfigError::value("broker_addresses", other, allowed))
            }
        }
    }

    fn refuses_mixed_groups(&self) -> Result<bool, ConfigError> {
        match self.mixed_groups.as_str() {
            "warn" => Ok(false),
            "refuse" => Ok(true),
            other => Err(ConfigError::value("mixed_groups", other, "warn or refuse")),
        }
    }

    pub(super) fn client_limits(&self) -> Result<ClientLimits, ConfigError> {
        let limits = &self.limits;
        let per_address = "limits.connections_per_address";
        Ok(ClientLimits {
            connections: number("limits.connections", limits.connections)? as usize,
            connections_per_address: number(per_address, limits.connections_per_address)? as usize,
            handshake_time: millis("limits.handshake_ms", limits.handshake_ms)?,
            frame_time: millis("limits.frame_ms", limits.frame_ms)?,
            idle_time: millis("limits.idle_ms", limits.idle_ms)?,
            cors: self.cors()?,
        })
    }

    fn cors(&self) -> Result<Arc<[String]>, ConfigError> {
        let origins = &self.http.cors;
        match origins.iter().find(|origin| !is_origin(origin)) {
            None => Ok(origins.as_slice().into()),
            Some(wrong) => {
                let allowed = "origins as browsers write them, scheme://host or \
                               scheme://host:port in lower case, or \"*\"";
                Err(ConfigError::value("http.cors", wrong.as_str(), allowed))
            }
        }
    }

    pub(super) fn drain(&self) -> Result<DrainConfig, ConfigError> {
        let drain = &self.drain;
        let wait = millis_or_none("drain.wait_ms", drain.wait_ms)?;
        let time = millis_or_none("drain.time_ms", drain.time_ms)?;
        let deadline = millis("drain.deadline_ms", drain.deadline_ms)?;
        if wait + time > deadline {
            let allowed = "at least drain.wait_ms and drain.time_ms together";
            let given = drain.deadline_ms;
            return Err(ConfigError::value("drain.deadline_ms", given, allowed));
        }
        Ok(DrainConfig {
            wait,
            time,
            deadline,
        })
    }

    pub(super) fn connection_age(&self) -> Result<ConnectionAgeConfig, ConfigError> {
        let age = &self.connection_age;
        let jitter = age.jitter_percent;
        if jitter > 90 {
            let allowed = "a number from 0 to 90";
            return Err(ConfigError::value(
                "connection_age.jitter_percent",
                jitter,
                allowed,
            ));
        }
        let max = match age.max_ms {
            0 => None,
            // Less than a second would be a loop of connecting, not a balance.
            1..1000 => {
                let allowed = "0 or a number of milliseconds from 1000";
                return Err(ConfigError::value(
                    "connection_age.max_ms",
                    age.max_ms,
                    allowed,
                ));
            }
            max => Some(Duration::from_millis(max)),
        };
        Ok(ConnectionAgeConfig {
            max,
            jitter: jitter as f64 / 100.0,
        })
    }
}

fn millis(key: &str, given: u64) -> Result<Duration, ConfigError> {
    if given == 0 {
        let allowed = "a number of milliseconds from 1 to 3600000";
        return Err(ConfigError::value(key, given, allowed));
    }
    millis_or_none(key, given)
}

fn millis_or_none(key: &str, given: u64) -> Result<Duration, ConfigError> {
    const LONGEST: u64 = 3_600_000;
    if given > LONGEST {
        let allowed = "a number of milliseconds up to 3600000";
        return Err(ConfigError::value(key, given, allowed));
    }
    Ok(Duration::from_millis(given))
}

fn bytes(key: &str, given: u64) -> Result<usize, ConfigError> {
    let allowed = format!("a number of bytes from {FRAME_LIMIT_MIN} to {FRAME_LIMIT_MAX}");
    match usize::try_from(given) {
        Ok(bytes) if (FRAME_LIMIT_MIN..=FRAME_LIMIT_MAX).contains(&bytes) => Ok(bytes),
        _ => Err(ConfigError::value(key, given, &allowed)),
    }
}

fn number(key: &str, given: u64) -> Result<u64, ConfigError> {
    if (1..=u64::from(u32::MAX)).contains(&given) {
        return Ok(given);
    }
    let allowed = format!("a number from 1 to {}", u32::MAX);
    Err(ConfigError::value(key, given, &allowed))
}
