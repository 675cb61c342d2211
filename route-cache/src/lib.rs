//! Everything upstream of a proxy: name servers, routes, and the connections to brokers.
//!
//! ```text
//!            all threads                              one worker
//!  NameServers ── RouteCache           Upstream ── Broker ── data connections, shared by clients
//!       └──────── BrokerTable ────────────┘  └──── Lane ──── one per client and broker
//! ```
//!
//! State that threads share is read rarely, and from memory. Connections that carry requests belong
//! to one worker, a thread with a runtime of its own, so that no lock is on the path of a request
//! and its answer.

mod address;
mod broker;
mod clock;
mod config;
mod credentials;
mod descriptors;
mod error;
pub mod metrics;
mod name_server;
mod peer;
pub mod rate;
mod routes;
mod tls;
mod upstream;

pub use address::{Address, AddressKey};
pub use broker::{
    Broker, BrokerAddresses, BrokerTable, Budget, Class, Connection, Lane, Origin, Outcome,
    Outstanding, PushTarget, Registration, RelayTarget, Slot, Ticket, Verdict,
};
pub use clock::{Clock, Deadline, Moment, TICK};
pub use config::{RouteConfig, UpstreamConfig};
pub use credentials::{Credentials, Secret};
pub use descriptors::{Descriptors, Permit};
pub use error::{NameServerError, RouteError, UpstreamError};
pub use name_server::{NameServerClient, NameServers, name_servers};
pub use peer::Peer;
pub use routes::{Advertised, MOCK_PREFIX, RouteCache, RouteStats, TopicRoute};
pub use tls::UpstreamTls;
pub use upstream::Upstream;
