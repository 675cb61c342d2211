//! Limits that clients may meet, as they are counted.

use super::OTHER;

/// Limits that a client may meet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// Connections in all.
    Connections,
    /// Connections from one address.
    ConnectionsPerAddress,
    /// Bytes that wait for one client.
    ClientBuffer,
    /// Bytes that are held for all clients.
    Memory,
    /// Requests that are outstanding at one broker.
    BrokerOutstanding,
    /// Requests of one client that are outstanding.
    Outstanding,
    /// Time for the first frame.
    Handshake,
    /// Time for a frame to be whole.
    Frame,
    /// Time without a sign of life.
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
