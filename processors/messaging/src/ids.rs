//! Ids that Remora makes: of messages whose client has made none, and random ones.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};

use remoting_codec::message::UniqueId;

/// A number that nobody can guess without seeing others: each `RandomState` has keys of its own,
/// which the operating system has seeded.
#[must_use]
pub fn random() -> u64 {
    RandomState::new().hash_one(0)
}

thread_local! {
    /// Distinguishes this worker from others and from other processes, and counts its messages.
    static PRODUCER: (u32, Cell<u16>) = (random() as u32, Cell::new(random() as u16));
}

/// An id for a message that is sent now, as Java's producers make it
/// (`MessageClientIDSetter.createUniqID`). `from` is the client's address. A worker can make 65,536
/// different ones in a millisecond.
#[must_use]
pub fn unique_id(from: Option<IpAddr>, now: i64) -> UniqueId {
    PRODUCER.with(|(salt, counter)| {
        let count = counter.get();
        counter.set(count.wrapping_add(1));
        UniqueId {
            ip: from.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            process: std::process::id() as u16,
            salt: *salt,
            month_millis: UniqueId::month_millis(now.unsigned_abs()),
            counter: count,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_and_are_read_as_those_of_java() {
        let from = IpAddr::from([10, 0, 0, 9]);
        let ids = (0..10_000).map(|_| unique_id(Some(from), 1_795_910_400_123).to_string());
        let ids: HashSet<String> = ids.collect();
        assert_eq!(ids.len(), 10_000);
        let id: UniqueId = ids.iter().next().unwrap().parse().unwrap();
        assert_eq!(id.ip, from);
        assert_eq!(id.month_millis, UniqueId::month_millis(1_795_910_400_123));
        let elsewhere = std::thread::spawn(move || unique_id(Some(from), 0).salt);
        assert_ne!(elsewhere.join().unwrap(), id.salt);
        assert_ne!(random(), random());
    }
}
