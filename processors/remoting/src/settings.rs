//! What can be set about the serving of clients.

use std::sync::Arc;
use std::time::Duration;

use messaging::Policy;

/// Which clients are told of brokers' own listeners.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BrokerAddresses {
    /// All but those that are known to name the broker in every request that needs it.
    #[default]
    Auto,
    /// All.
    Always,
    /// None.
    Never,
}

/// Settings of client connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Times and limits of what clients ask of the cluster, whatever protocol they speak.
    pub policy: Arc<Policy>,
    /// Once more than this many bytes wait to be written to a client, it is not read further, and a
    /// pull's answer is replaced by one that makes it ask again.
    pub client_buffer_limit: usize,
    /// What everything that peers make Remora hold may add up to, in bytes, of all workers.
    pub memory_limit: usize,
    /// Most bytes of a frame's header.
    pub header_limit: usize,
    /// Most bytes of a heartbeat, its header included. What lanes say again is kept, so it counts as held for the client.
    pub heartbeat_limit: usize,
    /// Whether codes that are not served otherwise go to a name server, or to the broker of the
    /// listener that they came in on.
    pub admin_relay: bool,
    /// Which clients are told of brokers' own listeners.
    pub broker_addresses: BrokerAddresses,
    /// A request that is answered later than this is logged, unless it is a long poll; zero logs none.
    pub slow_threshold: Duration,
    /// Most of them that a worker logs in a second.
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
            broker_addresses: BrokerAddresses::default(),
            slow_threshold: Duration::from_secs(1),
            slow_per_second: 10,
        }
    }
}

/// Of what Remora may take, what is not held for anybody: the process itself, and what its runtime and allocator keep.
const UNHELD: usize = 16 * 1024 * 1024;

impl Settings {
    /// Bytes that clients may make all workers hold: five eighths of what Remora may take, less what it takes by itself. Memory that connections have given back is with the operating system a second later, and by then others
    /// may have taken as much.
    #[must_use]
    pub fn held_limit(&self) -> usize {
        (self.memory_limit / 8 * 5).saturating_sub(UNHELD)
    }
}
