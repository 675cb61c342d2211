//! Declarations of clients, and queries about members.

pub(crate) mod client_config;
pub(crate) mod connections;
pub(crate) mod heartbeat;
pub(crate) mod unregister;
