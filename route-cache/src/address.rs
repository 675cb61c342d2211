//! Clients' addresses, by which shares and limits are divided.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use remoting_transport::Group;
use tokio::sync::Semaphore;

/// Most look-ups of routes and configurations in progress at one worker for the clients of one
/// address.
const LOOK_UPS_MAX: usize = 256;

/// The unit that counts as one address: an IPv4 address, or an IPv6 network of 64 bits, because one
/// host may use all of it (RFC 4291, 2.5.4). An IPv4-mapped IPv6 address counts as the IPv4
/// address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AddressKey(IpAddr);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        /// The bits of an address that identify its network.
        const NETWORK: u128 = u128::MAX << 64;
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
            address => address,
        })
    }
}

/// The state that all clients of one address share at one worker.
#[derive(Debug)]
pub struct Address {
    key: AddressKey,
    look_ups: Arc<Semaphore>,
    holders: Rc<Group>,
}

impl Address {
    pub(crate) fn new(key: AddressKey) -> Self {
        Self {
            key,
            look_ups: Arc::new(Semaphore::new(LOOK_UPS_MAX)),
            holders: Rc::default(),
        }
    }

    /// The group of the accounts of its clients.
    #[must_use]
    pub fn holders(&self) -> &Rc<Group> {
        &self.holders
    }

    /// The address, or its network, by which it is found.
    #[must_use]
    pub fn key(&self) -> AddressKey {
        self.key
    }

    /// The permits for its look-ups.
    #[must_use]
    pub fn look_ups(&self) -> &Arc<Semaphore> {
        &self.look_ups
    }
}

/// A value for each address, kept while it is in use.
#[derive(Debug)]
pub(crate) struct ByAddress<T>(RefCell<HashMap<AddressKey, Weak<T>>>);

impl<T> Default for ByAddress<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> ByAddress<T> {
    /// The value of the address; `make` creates it if there is none.
    pub(crate) fn of(&self, key: AddressKey, make: impl FnOnce() -> T) -> Rc<T> {
        let mut all = self.0.borrow_mut();
        if let Some(known) = all.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        // Values that are not in use any more are removed before the table would grow.
        if all.len() == all.capacity() {
            all.retain(|_, held| held.strong_count() > 0);
        }
        let new = Rc::new(make());
        all.insert(key, Rc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let key = |text: &str| AddressKey::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(
            key("2001:db8:1:2::1"),
            key("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("::ffff:10.0.0.1"), key("::ffff:10.0.0.2"));
    }

    #[test]
    fn the_table_of_addresses_does_not_grow() {
        let addresses = ByAddress::default();
        let of = |address: IpAddr| addresses.of(address.into(), || ());
        let stays = of([10, 0, 0, 1].into());
        for nth in 0..100_000_u32 {
            of(nth.to_be_bytes().into());
        }
        assert!(addresses.0.borrow().len() < 100);
        assert!(Rc::ptr_eq(&stays, &of([10, 0, 0, 1].into())));
    }
}
