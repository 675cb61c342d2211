//! Connections to brokers.

mod backoff;
mod breaker;
mod connection;
mod gates;
mod lane;
mod link;
mod pending;
mod table;

pub use connection::{Connection, PushTarget};
pub use lane::{Lane, Registration};
pub use link::{Broker, Class};
pub use pending::{Origin, RelayTarget, Ticket};
pub use table::{BrokerAddresses, BrokerTable};

pub(crate) use connection::Context;
