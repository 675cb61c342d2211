//! Requests to name servers.

mod client;

pub use client::{NameServerClient, NameServers, name_servers};
