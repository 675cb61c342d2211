//! Connections to brokers.

mod backoff;
mod breaker;
mod budget;
mod connection;
mod context;
mod gates;
mod health;
mod lane;
mod link;
mod pending;
mod probe;
mod registration;
mod stream;
mod table;
mod target;

pub use budget::{Budget, Outstanding, Slot};
pub use connection::{Connection, PushTarget};
pub use lane::Lane;
pub use link::{Broker, Class};
pub use registration::{Registration, Verdict};
pub use table::{BrokerAddresses, BrokerTable};
pub use target::{Origin, Outcome, RelayTarget, Ticket};

pub(crate) use context::Context;
pub(crate) use table::MASTER;
