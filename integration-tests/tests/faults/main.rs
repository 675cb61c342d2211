//! Remora between clients and brokers that misbehave on demand. All in this process; no Java.

mod bad_input;
mod brokers;
mod codes;
mod credentials;
mod departures;
mod elsewhere;
mod entrance;
mod grpc;
mod grpc_brokers;
mod grpc_crash;
mod grpc_network;
mod heartbeats;
mod isolation;
mod listeners;
mod membership;
mod name_servers;
mod operation;
mod queries;
mod relay;
mod routes;
mod shares;
mod sockets;
mod upstream_tls;

use anyhow::Result;
use integration_tests::fake::{FakeBroker, FakeNameServer, ProxyUnderTest};

/// Two brokers, a name server that has topic `both` on both and `one` on the first, and a proxy.
struct World {
    a: FakeBroker,
    b: FakeBroker,
    name_server: FakeNameServer,
    proxy: ProxyUnderTest,
}

impl World {
    async fn start() -> Result<Self> {
        Self::with("").await
    }

    /// With that as the proxy's configuration file.
    async fn with(file: &str) -> Result<Self> {
        let a = FakeBroker::start("broker-a").await?;
        let b = FakeBroker::start("broker-b").await?;
        let name_server = FakeNameServer::start(&[&a, &b]).await?;
        name_server.add_topic("both", &["broker-a", "broker-b"]);
        name_server.add_topic("one", &["broker-a"]);
        let proxy = ProxyUnderTest::start(&[name_server.address()], file)?;
        Ok(Self {
            a,
            b,
            name_server,
            proxy,
        })
    }
}
