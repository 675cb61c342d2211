//! The limits whose hits by clients are counted.

use messaging::metrics::OTHER;

/// A limit that a client may hit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// Connections of all clients.
    Connections,
    /// Connections of the clients from one address.
    ConnectionsPerAddress,
    /// Bytes in one client's outbox.
    ClientBuffer,
    /// Bytes held for all clients.
    Memory,
    /// One client's share of the requests that may be outstanding at one broker.
    BrokerOutstanding,
    /// Outstanding requests of one client.
    Outstanding,
    /// Time until the first frame.
    Handshake,
    /// Time until a frame is complete.
    Frame,
    /// Time without a frame.
    Idle,
}

impl Limit {
    /// Its label value: the key in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(limit, _)| *limit == self)
            .map_or(OTHER, |(_, name)| name)
    }

    /// All of them, with their label values: the keys in the configuration.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Connections, "connections"),
        (Self::ConnectionsPerAddress, "connections_per_address"),
        (Self::ClientBuffer, "client_buffer_bytes"),
        (Self::Memory, "memory_bytes"),
        (Self::BrokerOutstanding, "broker_outstanding"),
        (Self::Outstanding, "outstanding_requests"),
        (Self::Handshake, "handshake_ms"),
        (Self::Frame, "frame_ms"),
        (Self::Idle, "idle_ms"),
    ];
}
