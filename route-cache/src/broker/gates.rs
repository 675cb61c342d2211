//! Limits the number of lanes that are opened at the same time.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Most lanes that are being opened to one address at the same time. Brokers queue 1,024
/// connections, and other replicas use the same queue.
const JOINING_MAX: usize = 512;

/// Permits to open a lane, by address, for all workers.
///
/// When thousands of clients connect at the same time, as after a restart, a broker's accept queue
/// would overflow, and the lost connections would be retried and lost again. A permit is returned
/// soon after its connection was established; it does not cover the broker's answer to the
/// heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    by_address: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

impl Gates {
    /// The permits for opening lanes to that address: [`JOINING_MAX`], shared by all workers.
    pub(crate) fn at(&self, address: &Arc<str>) -> Arc<Semaphore> {
        let mut gates = self.by_address.lock();
        if let Some(gate) = gates.get(address) {
            return gate.clone();
        }
        // Entries of brokers that are not in use any more are dropped.
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        let gate = Arc::new(Semaphore::new(JOINING_MAX));
        gates.insert(address.clone(), gate.clone());
        gate
    }
}
