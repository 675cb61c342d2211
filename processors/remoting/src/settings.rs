//! Settings of client connections.

use std::sync::Arc;
use std::time::Duration;

use messaging::Policy;

/// Which clients receive the addresses of broker listeners in routes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AdvertiseBrokers {
    /// All clients except the versions that are known to name the broker in every request that
    /// needs it.
    #[default]
    Auto,
    /// All clients, also those that name the broker.
    Always,
    /// No client.
    Never,
}

/// Settings of client connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Timeouts and limits of requests, for every protocol.
    pub policy: Arc<Policy>,
    /// The limit of an outbox, in bytes. Above it, the client is not read further, and a pull's
    /// answer is replaced by one that makes the client pull again.
    pub client_buffer_limit: usize,
    /// The memory that Remora may use, in bytes, of all workers.
    pub memory_limit: usize,
    /// The largest header of a frame, in bytes.
    pub header_limit: usize,
    /// The largest heartbeat, in bytes, its header included. Remora keeps it to send it again on
    /// new lanes, so it is charged to the client's account.
    pub heartbeat_limit: usize,
    /// Whether codes without a row are relayed to a name server, or to the broker of the listener
    /// that they arrived at.
    pub admin_relay: bool,
    /// Which clients receive the addresses of broker listeners in routes.
    pub broker_addresses: AdvertiseBrokers,
    /// A request that took longer is logged, unless it is a long poll; zero disables the log.
    pub slow_threshold: Duration,
    /// The most slow requests that a worker logs in a second.
    pub slow_per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Arc::default(),
            client_buffer_limit: 1024 * 1024,
            memory_limit: 256 * 1024 * 1024,
            header_limit: 64 * 1024,
            heartbeat_limit: 4 * 1024 * 1024,
            admin_relay: false,
            broker_addresses: AdvertiseBrokers::default(),
            slow_threshold: Duration::from_secs(1),
            slow_per_second: 10,
        }
    }
}

/// The part of the memory that is not held for a client or broker, in bytes: the process itself,
/// and what its runtime and allocator keep.
const UNHELD: usize = 24 * 1024 * 1024;

impl Settings {
    /// The most bytes that all workers may hold for clients: five eighths of
    /// [`memory_limit`](Self::memory_limit), less what Remora itself uses. Memory that connections
    /// have freed returns to the operating system up to a second later, and other connections may
    /// have allocated as much by then.
    #[must_use]
    pub fn held_limit(&self) -> usize {
        (self.memory_limit / 8 * 5).saturating_sub(UNHELD)
    }
}
