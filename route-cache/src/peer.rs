//! The peer of an upstream connection.

use std::fmt;
use std::rc::Rc;

/// A broker or a name server. It is shown as in "broker broker-a".
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Peer {
    /// The broker of that name.
    Broker(Rc<str>),
    /// The name server at that address (`host:port`).
    NameServer(Rc<str>),
}

impl Peer {
    /// The name of the broker; `None` for a name server.
    #[must_use]
    pub fn broker_name(&self) -> Option<&str> {
        match self {
            Self::Broker(name) => Some(name),
            Self::NameServer(_) => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(name) => write!(f, "broker {name}"),
            Self::NameServer(address) => write!(f, "name server {address}"),
        }
    }
}
