//! Values by name, kept in a limited number of bytes that clients' addresses share.
//!
//! A value belongs to the address that has stored it last. When there is no room, the address that
//! has most loses the value that was stored longest ago. So an address that has no more than an
//! equal part of the bytes loses no value to names that another address makes up. It loses one that
//! the other has stored again, and that address makes up too many.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use route_cache::AddressKey;

/// Bytes of memory of an entry beside its name and its value: three tables, and what an address
/// needs that has no other entry.
const ENTRY: usize = 320;

/// The part of the limit that one value may have; a larger one is not kept.
const LARGEST_PART: usize = 64;

/// The values.
#[derive(Debug)]
pub(super) struct Kept<V> {
    /// In bytes.
    limit: usize,
    bytes: usize,
    entries: HashMap<Rc<str>, Entry<V>>,
    owners: HashMap<AddressKey, Owner>,
    /// Each owner by the bytes of its values.
    by_bytes: BTreeSet<(usize, AddressKey)>,
    /// Counts the values that were ever stored.
    stored: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    owner: AddressKey,
    /// Its key in the owner's order.
    nth: u64,
}

#[derive(Debug, Default)]
struct Owner {
    bytes: usize,
    /// The names of its values, in the order in which they were stored.
    order: BTreeMap<u64, Rc<str>>,
}

impl<V> Kept<V> {
    /// Keeps values of that many bytes, their names and tables included.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            entries: HashMap::new(),
            owners: HashMap::new(),
            by_bytes: BTreeSet::new(),
            stored: 0,
        }
    }

    /// The value of that name.
    #[inline]
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.entries.get(name).map(|entry| &entry.value)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.entries.get_mut(name).map(|entry| &mut entry.value)
    }

    /// Stores a value of `bytes` bytes for an address, in place of the name's former one; others
    /// are dropped if there is no room. A value that is too large is not kept.
    pub(super) fn insert(&mut self, name: &Rc<str>, owner: AddressKey, bytes: usize, value: V) {
        self.remove(name);
        let bytes = ENTRY + name.len() + bytes;
        if bytes > self.limit / LARGEST_PART {
            return;
        }
        self.stored += 1;
        let nth = self.stored;
        let entry = Entry {
            value,
            bytes,
            owner,
            nth,
        };
        self.entries.insert(name.clone(), entry);
        self.bytes += bytes;
        self.change(owner, |of| {
            of.bytes += bytes;
            of.order.insert(nth, name.clone());
        });
        while self.bytes > self.limit {
            let most = self.by_bytes.last().and_then(|(_, most)| {
                let (_, oldest) = self.owners.get(most)?.order.first_key_value()?;
                Some(oldest.clone())
            });
            let Some(oldest) = most else { return };
            self.remove(&oldest);
        }
    }

    /// Drops the value of that name.
    pub(super) fn remove(&mut self, name: &str) {
        let Some(entry) = self.entries.remove(name) else {
            return;
        };
        self.bytes -= entry.bytes;
        self.change(entry.owner, |of| {
            of.bytes -= entry.bytes;
            of.order.remove(&entry.nth);
        });
    }

    fn change(&mut self, owner: AddressKey, change: impl FnOnce(&mut Owner)) {
        let of = self.owners.entry(owner).or_default();
        self.by_bytes.remove(&(of.bytes, owner));
        change(of);
        match of.order.is_empty() {
            true => drop(self.owners.remove(&owner)),
            false => drop(self.by_bytes.insert((of.bytes, owner))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// Room for a hundred values without bytes of their own and with names of four letters.
    const LIMIT: usize = 100 * (ENTRY + 4);

    fn address(last: u8) -> AddressKey {
        IpAddr::from([10, 0, 0, last]).into()
    }

    fn name(text: &str) -> Rc<str> {
        text.into()
    }

    #[test]
    fn made_up_names_displace_those_of_their_own_address() {
        let mut kept = Kept::new(LIMIT);
        for nth in 0..40 {
            kept.insert(&name(&format!("a{nth:03}")), address(1), 0, nth);
        }
        for nth in 0..100_000 {
            kept.insert(&name(&format!("b{nth:05}")), address(2), 0, nth);
        }
        for nth in 0..40 {
            assert_eq!(kept.get(&format!("a{nth:03}")), Some(&nth));
        }
        // The other has what is left, the names that it has stored last.
        assert!(kept.get("b99999").is_some());
        assert!(kept.get("b00000").is_none());
        assert!(kept.bytes <= LIMIT && kept.bytes > LIMIT * 9 / 10);
        let owned = kept.owners.values().map(|owner| owner.order.len());
        assert_eq!(kept.entries.len(), owned.sum::<usize>());
    }

    #[test]
    fn an_address_that_has_most_makes_room_for_another() {
        let mut kept = Kept::new(LIMIT);
        for nth in 0..100 {
            kept.insert(&name(&format!("a{nth:03}")), address(1), 0, nth);
        }
        // Stored again: it is the youngest now.
        kept.insert(&name("a000"), address(1), 0, 0);
        for nth in 0..10 {
            kept.insert(&name(&format!("b{nth:03}")), address(2), 0, nth);
        }
        assert!((0..10).all(|nth| kept.get(&format!("b{nth:03}")).is_some()));
        assert!(kept.get("a000").is_some());
        assert!((1..11).all(|nth| kept.get(&format!("a{nth:03}")).is_none()));
        assert!((11..100).all(|nth| kept.get(&format!("a{nth:03}")).is_some()));
    }

    #[test]
    fn bytes_are_counted_whatever_is_replaced_or_dropped() {
        let mut kept = Kept::new(LIMIT);
        kept.insert(&name("same"), address(1), 50, 1);
        kept.insert(&name("same"), address(2), 20, 2);
        assert_eq!(kept.bytes, ENTRY + 4 + 20);
        assert_eq!(kept.get("same"), Some(&2));
        assert!(!kept.owners.contains_key(&address(1)));
        kept.insert(&name("huge"), address(1), LIMIT, 3);
        assert_eq!(kept.get("huge"), None);
        kept.remove("same");
        assert_eq!(
            (kept.bytes, kept.owners.len(), kept.by_bytes.len()),
            (0, 0, 0)
        );
    }
}
