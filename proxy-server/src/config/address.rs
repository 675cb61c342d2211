//! `host:port` and `ip:port`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::error::ConfigError;

/// A host and a port as clients get them: `mq.example.com:8080`, `10.0.0.1:8080`, `[fd00::1]:8080`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostPort(String);

impl HostPort {
    /// Parses the value of a key.
    ///
    /// # Errors
    /// When it is not a host and a port, and nothing else.
    pub fn parse(key: &str, text: &str) -> Result<Self, ConfigError> {
        let allowed = "a host and port such as mq.example.com:8080";
        let invalid = || ConfigError::value(key, text, allowed);
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let in_brackets = host.starts_with('[') && host.ends_with(']');
        let odd = |c: char| {
            !(c.is_ascii_alphanumeric()
                || matches!(c, '.' | '-' | '_')
                || (in_brackets && "[]:%".contains(c)))
        };
        let port = port.parse::<u16>().map_err(|_| invalid())?;
        if host.is_empty() || host.contains(odd) || port == 0 {
            return Err(invalid());
        }
        Ok(Self(text.to_owned()))
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self
            .0
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        port.unwrap_or_default()
    }

    /// The host, if it is an IP address; `None` if it is a name.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        let (host, _) = self.0.rsplit_once(':')?;
        host.trim_matches(['[', ']']).parse().ok()
    }

    /// `host:port`, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses a value of that key: an IP address and a port, not a name.
pub(super) fn socket_address(key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        let allowed = "an IP address and port such as 0.0.0.0:8080 or [::]:8080";
        let is_name = HostPort::parse(key, text).is_ok_and(|at| at.ip().is_none());
        let remedy = if is_name {
            "; write the IP address of the host"
        } else {
            ""
        };
        ConfigError::value(key, text, &format!("{allowed}{remedy}"))
    })
}
