//! The proxy: configuration, listeners, workers, and the connections of clients.
//!
//! One thread accepts, answers the admin listener and asks name servers. Each worker is a thread
//! with a runtime of its own that serves its share of the clients, from reading a request to
//! writing the answer.

mod addresses;
mod admin;
mod args;
mod cgroup;
mod client;
mod config;
mod connection;
mod descriptors;
mod entrance;
mod http;
mod listener;
mod listener_info;
mod metrics;
mod overview;
mod protocol;
mod proxy;
#[doc(hidden)]
pub mod proxy_header;
mod reload;
mod running;
mod sessions;
mod signals;
mod tls;
mod worker;
mod worker_handle;

pub use args::Args;
pub use config::{
    BrokerListenerConfig, CertificateConfig, ClientAuth, ClientLimits, Config, ConfigError,
    ConnectionAgeConfig, DrainConfig, HostPort, ListenerConfig, LogConfig, LogFormat, MetricLabels,
    Network, Reloaded, TlsConfig, UpstreamTlsConfig, Verify, example, keys, table,
};
pub use protocol::Protocols;
pub use proxy::{Proxy, check};
pub use reload::LogFilter;
pub use signals::{Signal, Signals};
