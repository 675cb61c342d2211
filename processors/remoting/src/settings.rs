//! What can be set about the serving of clients.

use std::time::Duration;

use crate::table::Patience;

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
    /// Once more than this many bytes wait to be written to a client, it is not read further, and a
    /// pull's answer is replaced by one that makes it ask again.
    pub client_buffer_limit: usize,
    /// Most requests of one client that may be outstanding; with more, it is not read further. As many long polls; further
    /// ones are refused.
    pub outstanding_limit: usize,
    /// What everything that peers make Remora hold may add up to, in bytes, of all workers.
    pub memory_limit: usize,
    /// Most bytes of a frame's header.
    pub header_limit: usize,
    /// Most bytes of a heartbeat, its header included. What lanes say again is kept, so it counts as held for the client.
    pub heartbeat_limit: usize,
    /// How long a heartbeat that says nothing new is answered without asking brokers. A client sends
    /// one per broker of its routes, all to one address.
    pub heartbeat_repeat: Duration,
    /// How long a heartbeat waits for brokers' answers. Below the 3 s that clients wait.
    pub heartbeat_time: Duration,
    /// How long a broker may take for most requests.
    pub general_time: Duration,
    /// How long a broker may take to lock or unlock queues.
    pub lock_time: Duration,
    /// How long a broker may take for offsets and for messages sent back.
    pub offset_time: Duration,
    /// How long a broker may take for a send.
    pub send_time: Duration,
    /// Whether codes that are not served otherwise go to a name server, or to the broker of the
    /// listener that they came in on.
    pub admin_relay: bool,
    /// Which clients are told of brokers' own listeners.
    pub broker_addresses: BrokerAddresses,
    /// Whether a message that its broker cannot be given goes to another broker of the topic.
    pub send_elsewhere: bool,
    /// How long a half message or a request waits until brokers know its producer.
    pub introduction_time: Duration,
    /// How long a pull waits until the broker knows its consumer.
    pub registration_time: Duration,
    /// A request that is answered later than this is logged, unless it is a long poll; zero logs none.
    pub slow_threshold: Duration,
    /// Most of them that a worker logs in a second.
    pub slow_per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_buffer_limit: 1024 * 1024,
            outstanding_limit: 16 * 1024,
            memory_limit: 256 * 1024 * 1024,
            header_limit: 64 * 1024,
            heartbeat_limit: 4 * 1024 * 1024,
            heartbeat_repeat: Duration::from_secs(5),
            heartbeat_time: Duration::from_secs(2),
            general_time: Duration::from_millis(2500),
            lock_time: Duration::from_millis(800),
            offset_time: Duration::from_millis(4500),
            send_time: Duration::from_millis(2500),
            admin_relay: false,
            broker_addresses: BrokerAddresses::default(),
            send_elsewhere: true,
            introduction_time: Duration::from_secs(1),
            registration_time: Duration::from_secs(3),
            slow_threshold: Duration::from_secs(1),
            slow_per_second: 10,
        }
    }
}

/// Of what Remora may take, what is not held for anybody: the process itself, and what its runtime and allocator keep.
const UNHELD: usize = 16 * 1024 * 1024;

/// How long a broker may take for what it asks another client: it waits 10 s for that (`Broker2Client.callClient` in the
/// reference), and answers then.
const CLIENT_TIME: Duration = Duration::from_secs(11);

/// How long a broker may take to search its index. Java waits 18 s (`MQAdminImpl.queryMessage`).
const SEARCH_TIME: Duration = Duration::from_secs(16);

impl Settings {
    /// Bytes that clients may make all workers hold: five eighths of what Remora may take, less what it takes by itself. Memory that connections have given back is with the operating system a second later, and by then others
    /// may have taken as much.
    #[must_use]
    pub fn held_limit(&self) -> usize {
        (self.memory_limit / 8 * 5).saturating_sub(UNHELD)
    }

    /// How long a broker may take for such a request.
    #[must_use]
    pub fn time(&self, patience: Patience) -> Duration {
        match patience {
            Patience::Client => CLIENT_TIME,
            Patience::General => self.general_time,
            Patience::Lock => self.lock_time,
            Patience::Offset => self.offset_time,
            Patience::Search => SEARCH_TIME,
            Patience::Send => self.send_time,
        }
    }
}
