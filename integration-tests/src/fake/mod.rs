//! Clients and servers that do on demand what real ones do not: a broker that falls silent, a name
//! server that dies, a client that sends nonsense. All in this process, Remora included.

mod broker;
mod client;
mod name_server;
mod proxy;
mod wire;

pub use broker::{FakeBroker, Reply};
pub use client::{RawClient, request};
pub use name_server::FakeNameServer;
pub use proxy::ProxyUnderTest;
