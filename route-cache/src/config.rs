//! What can be set about everything upstream.

use std::sync::Arc;
use std::time::Duration;

use remoting_codec::{DEFAULT_FRAME_LIMIT, RemotingCommand};

use crate::credentials::Credentials;
use crate::descriptors::Descriptors;
use crate::tls::UpstreamTls;

/// Settings of connections to brokers and name servers.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// How long a connection may take to be established, TLS included. What waits for it is then answered, so this
    /// must be well below what clients wait for an answer (3 s).
    pub connect_timeout: Duration,
    /// Most bytes of a frame, the length field included. Brokers close a connection that brings a
    /// longer one.
    pub frame_limit: usize,
    /// Most bytes of a frame's header.
    pub header_limit: usize,
    /// Once more than this many bytes wait to be written to a broker, further requests to it are
    /// refused.
    pub write_buffer_limit: usize,
    /// An idle connection is used after this time to keep it: brokers close one that is silent for
    /// 120 s.
    pub keep_alive: Duration,
    /// Most requests that may be outstanding at one broker, long polls not among them, of which there may be four times as
    /// many. Above half of that, each client has a share.
    pub outstanding_limit: usize,
    /// After so many connections in a row that did not come about, requests to a broker are refused at once.
    pub breaker_failures: u32,
    /// How often such a broker is asked whether it is back.
    pub breaker_probe: Duration,
    /// How connections are secured; they are not unless this is set.
    pub tls: Option<UpstreamTls>,
    /// The process's descriptors, of which lanes have a share; without a bound unless set.
    pub descriptors: Arc<Descriptors>,
    /// As whom Remora asks brokers in its own name; as nobody, without. Name servers demand no signature.
    pub credentials: Option<Credentials>,
}

impl UpstreamConfig {
    /// A request that Remora makes in its own name, signed if there is a key.
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
            breaker_failures: 5,
            breaker_probe: Duration::from_secs(1),
            tls: None,
            descriptors: Arc::default(),
            credentials: None,
        }
    }
}

/// Settings of routes.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// A route this old is loaded anew in the background when somebody asks for it.
    pub refresh_after: Duration,
    /// A route this old is loaded anew before it is answered, if a name server can be reached.
    pub expire_after: Duration,
    /// How long "no such topic" is answered from memory; not at all with zero. A topic that is sent to comes to exist, and a
    /// consumer in Go does not start without its route.
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
