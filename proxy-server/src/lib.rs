//! The proxy: configuration, listeners, workers, and the connections of clients.
//!
//! One thread accepts, answers the admin listener and asks name servers. Each worker is a thread with
//! a runtime of its own that serves its share of the clients, from reading a request to writing the
//! answer.

mod admin;
mod args;
mod config;
mod connection;
mod listener;
mod proxy;
mod worker;

pub use args::Args;
pub use config::{
    Aging, Breaking, BrokerListenerConfig, Config, ConfigError, Draining, HostPort, Limiting,
    ListenerConfig, LogConfig, LogFormat, MetricLabels, SlowLogging, example, keys, table,
};
pub use proxy::Proxy;
