//! Settings of everything upstream.

use std::sync::Arc;
use std::time::Duration;

use remoting_codec::{DEFAULT_FRAME_LIMIT, RemotingCommand};

use crate::credentials::Credentials;
use crate::descriptors::Descriptors;
use crate::tls::UpstreamTls;

/// Settings of connections to brokers and name servers.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// How long a connection may take to be established, TLS included. Requests that wait for it
    /// then fail, so this must be well below the time that clients wait for an answer (3 s).
    pub connect_timeout: Duration,
    /// Most bytes of a frame, the length field included. Brokers close a connection that carries a
    /// longer one.
    pub frame_limit: usize,
    /// Most bytes of a frame's header.
    pub header_limit: usize,
    /// Most bytes that may wait to be written to a broker. Beyond that, further requests to it are
    /// refused.
    pub write_buffer_limit: usize,
    /// An idle connection is probed after this time: brokers close one over which nothing arrives
    /// for 120 s.
    pub keep_alive: Duration,
    /// Most requests that may be outstanding at one broker, without long polls, of which there may
    /// be four times as many. Above half of that, each client has a share.
    pub outstanding_limit: usize,
    /// How many workers write to the same brokers: together they write no more to paced connections
    /// than two would.
    pub workers: usize,
    /// Failed attempts to connect in a row after which requests to a broker fail fast.
    pub breaker_failures: u32,
    /// The interval at which such a broker is probed.
    pub breaker_probe: Duration,
    /// TLS for connections; `None` for plain connections.
    pub tls: Option<UpstreamTls>,
    /// The process's descriptors, of which lanes have a share; the default has no bound.
    pub descriptors: Arc<Descriptors>,
    /// The user that signs Remora's own requests to brokers; `None` sends them unsigned. Name
    /// servers demand no signature.
    pub credentials: Option<Credentials>,
}

impl UpstreamConfig {
    /// A request of Remora's own, signed if there is a key.
    #[must_use]
    pub fn signed(&self, request: RemotingCommand) -> RemotingCommand {
        match &self.credentials {
            Some(credentials) => credentials.sign(request),
            None => request,
        }
    }
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            frame_limit: DEFAULT_FRAME_LIMIT,
            header_limit: 64 * 1024,
            write_buffer_limit: 32 * 1024 * 1024,
            keep_alive: Duration::from_secs(50),
            outstanding_limit: 65536,
            workers: 1,
            breaker_failures: 5,
            breaker_probe: Duration::from_secs(1),
            tls: None,
            descriptors: Arc::default(),
            credentials: None,
        }
    }
}

/// How long routes and the list of brokers are used, and how many routes are kept.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// A route this old is loaded again in the background when a client asks for it.
    pub refresh_after: Duration,
    /// A route this old is loaded again before it is answered, if a name server can be reached.
    pub expire_after: Duration,
    /// How long "no such topic" is answered from memory; zero turns that off. A send may create the
    /// topic, and a Go consumer does not start without its route.
    pub negative_ttl: Duration,
    /// Most routes that are kept.
    pub capacity: u64,
    /// How often the list of brokers is loaded.
    pub broker_refresh: Duration,
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            refresh_after: Duration::from_secs(10),
            expire_after: Duration::from_secs(30),
            negative_ttl: Duration::ZERO,
            capacity: 20_000,
            broker_refresh: Duration::from_secs(10),
        }
    }
}
