//! How many lanes are made at a time.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Most lanes that are being made to one address at the same time. Brokers queue 1,024 connections, and
/// there are other replicas.
const JOINING_MAX: usize = 512;

/// By address, who may make a lane now, on all workers.
///
/// When thousands of clients come at once, as after a restart, a broker's queue of connections to
/// accept would overflow, and what was lost of them be tried again and lost again. A turn ends soon after
/// its connection was made: how long a broker takes for what is said over it is no matter of the gate.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    by_address: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

impl Gates {
    /// The gate before that address.
    pub(crate) fn at(&self, address: &Arc<str>) -> Arc<Semaphore> {
        let mut gates = self.by_address.lock();
        if let Some(gate) = gates.get(address) {
            return gate.clone();
        }
        // Brokers come and go.
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        let gate = Arc::new(Semaphore::new(JOINING_MAX));
        gates.insert(address.clone(), gate.clone());
        gate
    }
}
