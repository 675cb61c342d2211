//! The number of connections from each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use route_cache::AddressKey;

/// Connections by address, of all workers.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<HashMap<AddressKey, usize>>);

/// One of the connections that an address may have; free again when dropped.
#[derive(Debug)]
pub(crate) struct AddressSlot {
    addresses: Arc<Addresses>,
    address: AddressKey,
}

impl Addresses {
    /// A slot for one more connection, unless the address has `limit` of them.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr, limit: usize) -> Option<AddressSlot> {
        let address = AddressKey::from(address);
        let mut all = self.0.lock();
        let taken = all.entry(address).or_default();
        if *taken >= limit {
            return None;
        }
        *taken += 1;
        Some(AddressSlot {
            addresses: self.clone(),
            address,
        })
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut all = self.addresses.0.lock();
        if let Some(taken) = all.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                all.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_slot_is_free() {
        let addresses = Arc::<Addresses>::default();
        let address = IpAddr::from([10, 0, 0, 1]);
        let first = addresses.take(address, 1).unwrap();
        assert!(addresses.take(address, 1).is_none());
        assert!(addresses.take(IpAddr::from([10, 0, 0, 2]), 1).is_some());
        drop(first);
        assert!(addresses.take(address, 1).is_some());
        assert!(addresses.0.lock().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let addresses = Arc::<Addresses>::default();
        let _first = addresses.take("2001:db8::1".parse().unwrap(), 1).unwrap();
        assert!(addresses.take("2001:db8::2".parse().unwrap(), 1).is_none());
        assert!(
            addresses
                .take("2001:db8:0:1::2".parse().unwrap(), 1)
                .is_some()
        );
    }
}
