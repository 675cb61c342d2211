//! What is measured: a broker, and what may stand in front of it.

mod cluster;
mod haproxy;
mod java_proxy;
mod sinks;
mod webdis;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

pub use cluster::{BROKER, Cluster, create_groups, wait_until_served};
pub use haproxy::{Haproxy, version as haproxy_version};
pub use java_proxy::JavaProxy;
pub use sinks::Sinks;
use tokio_rustls::TlsConnector;
pub use webdis::Webdis;

use crate::shape::Shape;

/// One way to the broker.
#[derive(Clone)]
pub struct Target {
    /// Its name in tables.
    pub name: &'static str,
    /// Where clients connect: one address, or one for each broker.
    pub addresses: Vec<SocketAddr>,
    /// The process in between, if there is one.
    pub proxy: Option<u32>,
    /// What makes TLS of connections, if clients come by it.
    pub tls: Option<TlsConnector>,
    /// The process of its broker, if that is not the one of the others.
    pub broker: Option<u32>,
    /// The shape that it serves in place of a given one; `None` if it cannot do what that asks.
    pub instead: fn(&Shape) -> Option<Shape>,
}

impl Target {
    /// A target that serves every shape as it is, in plain text.
    #[must_use]
    pub fn new(name: &'static str, addresses: Vec<SocketAddr>, proxy: Option<u32>) -> Self {
        Self {
            name,
            addresses,
            proxy,
            tls: None,
            broker: None,
            instead: |shape| Some(shape.clone()),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("name", &self.name)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// The names of targets, which checks go by.
pub const DIRECT: &str = "direct";
/// A pass-through that understands nothing.
pub const HAPROXY: &str = "HAProxy";
/// The other proxy.
pub const JAVA: &str = "Java proxy";
/// Ours.
pub const REMORA: &str = "Remora";
/// Ours, by HTTP.
pub const REMORA_HTTP: &str = "Remora HTTP";
/// Ours, by remoting where others are asked by HTTP.
pub const REMORA_REMOTING: &str = "Remora remoting";
/// The other proxy, by gRPC where others are asked by HTTP.
pub const JAVA_GRPC: &str = "Java proxy gRPC";
/// A bridge from HTTP to another broker.
pub const WEBDIS: &str = "Webdis";

/// An address of this machine.
#[must_use]
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// What makes a virtual machine as fast as it gets, after `integration_tests` has made one that
/// starts quickly.
pub(crate) const FULL_SPEED: &[&str] = &[
    "-XX:TieredStopAtLevel=4",
    "-XX:-UseSerialGC",
    "-XX:+UseG1GC",
    "-Dtls.server.mode=disabled",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
];
