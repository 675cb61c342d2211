//! What peers make a worker hold, in bytes, and whose it is.
//!
//! A worker has one [`Ledger`]. Every connection has an [`Account`] in it, to which is charged what the connection makes
//! the worker keep: part of a frame, what waits to be written to it or, in its name, to others, requests that became tasks,
//! what it has declared. The hot path pays an addition for it; nothing is looked up.
//!
//! While less than half of the limit is held, nobody is restricted. Above that, an account may hold a fair share of that
//! half, and the connection of one that holds more is not read. Whoever holds nothing is never restricted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

/// What an account may hold however many others hold something.
const LEAST_SHARE: usize = 16 * 1024;

/// A connection is not read while so much of what came over it waits to be written to others: its peer is held back as by
/// a broker that it is connected to directly.
const FORWARDED_MAX: usize = 256 * 1024;

/// What a connection takes by itself: its task and its tables. Measured: 6.3 KB for an idle client and its lane.
const CONNECTION: usize = 3 * 1024;

/// What all connections of a worker make it hold.
#[derive(Debug)]
pub struct Ledger {
    limit: Cell<usize>,
    held: Cell<usize>,
    /// Accounts that hold more than [`LEAST_SHARE`].
    holders: Cell<usize>,
    /// A connection was found to hold more than its share since this was last looked at.
    restricted: Cell<bool>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            limit: Cell::new(usize::MAX),
            held: Cell::new(0),
            holders: Cell::new(0),
            restricted: Cell::new(false),
        }
    }
}

impl Ledger {
    /// Bytes that may be held in all.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.get()
    }

    /// From now on, that many bytes may be held.
    pub fn set_limit(&self, bytes: usize) {
        self.limit.set(bytes);
    }

    /// Bytes that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// Whether so much is held that shares count.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.held.get() > self.limit.get() / 2
    }

    /// Bytes that are held beyond three quarters of the limit: connections that hold most must end.
    #[must_use]
    pub fn overdraft(&self) -> usize {
        self.held.get().saturating_sub(self.limit.get() / 4 * 3)
    }

    /// Whether so much is held that no further connection may be accepted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.held.get() > self.limit.get() / 8 * 7
    }

    /// Whether connections were stopped for what they hold since the last call: they must be looked at again.
    pub fn take_restricted(&self) -> bool {
        self.restricted.take()
    }

    /// What each account may hold while shares count.
    fn share(&self) -> usize {
        let holders = self.holders.get().max(1);
        (self.limit.get() / 2 / holders).max(LEAST_SHARE)
    }
}

/// What one connection makes its worker hold.
#[derive(Debug)]
pub struct Account {
    ledger: Rc<Ledger>,
    held: Cell<usize>,
    /// Of these, what waits to be written to other connections.
    forwarded: Cell<usize>,
    /// It was found to hold more than its share since this was last looked at.
    is_stopped: Cell<bool>,
    /// The connection's task, while it is not read.
    reader: RefCell<Option<Waker>>,
}

impl Account {
    /// An account of a new connection.
    #[must_use]
    pub fn open(ledger: Rc<Ledger>) -> Rc<Self> {
        ledger.held.set(ledger.held.get() + CONNECTION);
        Rc::new(Self {
            ledger,
            held: Cell::new(0),
            forwarded: Cell::new(0),
            is_stopped: Cell::new(false),
            reader: RefCell::default(),
        })
    }

    /// Bytes that the connection makes its worker hold, beside what every connection takes.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// Bytes that came over the connection and wait to be written to others.
    #[must_use]
    pub fn forwarded(&self) -> usize {
        self.forwarded.get()
    }

    /// Charges bytes.
    #[inline]
    pub fn add(&self, bytes: usize) {
        self.set(self.held.get() + bytes);
    }

    /// Takes a charge back.
    #[inline]
    pub fn take(&self, bytes: usize) {
        self.set(self.held.get().saturating_sub(bytes));
    }

    #[inline]
    fn set(&self, held: usize) {
        let before = self.held.replace(held);
        let ledger = &*self.ledger;
        ledger
            .held
            .set((ledger.held.get() + held).saturating_sub(before));
        let (was, is) = (before > LEAST_SHARE, held > LEAST_SHARE);
        if was != is {
            let holders = ledger.holders.get();
            ledger.holders.set(match is {
                true => holders + 1,
                false => holders.saturating_sub(1),
            });
        }
    }

    /// Charges bytes that wait to be written to another connection.
    pub(crate) fn forward(&self, bytes: usize) {
        self.forwarded.set(self.forwarded.get() + bytes);
        self.add(bytes);
    }

    /// These bytes were written to the other connection, or never will be.
    pub(crate) fn forwarded_all(&self, bytes: usize) {
        let forwarded = self.forwarded.get().saturating_sub(bytes);
        self.forwarded.set(forwarded);
        self.take(bytes);
        if forwarded < FORWARDED_MAX
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    /// Whether more may come over the connection that goes to others.
    #[inline]
    #[must_use]
    pub fn may_forward(&self) -> bool {
        self.forwarded.get() < FORWARDED_MAX
    }

    /// Has the connection's task woken when more may come.
    pub(crate) fn register(&self, waker: &Waker) {
        if !self.may_forward() {
            *self.reader.borrow_mut() = Some(waker.clone());
        }
    }

    /// Whether the connection holds more than its share while shares count.
    #[inline]
    #[must_use]
    pub fn is_over_share(&self) -> bool {
        if !self.ledger.is_tight() {
            return false;
        }
        let is_over = self.held.get() > self.ledger.share();
        if is_over {
            self.ledger.restricted.set(true);
            self.is_stopped.set(true);
        }
        is_over
    }

    /// Whether the connection was stopped for what it holds since the last call: whether it still must be, its task finds out.
    pub fn take_stopped(&self) -> bool {
        self.is_stopped.take()
    }

    /// Charges bytes for as long as the answer lives.
    #[must_use]
    pub fn hold(self: &Rc<Self>, bytes: usize) -> Held {
        self.add(bytes);
        Held {
            account: self.clone(),
            bytes,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.set(0);
        let held = self.ledger.held.get();
        self.ledger.held.set(held.saturating_sub(CONNECTION));
    }
}

/// Bytes that are charged to an account until this is dropped.
#[derive(Debug)]
pub struct Held {
    account: Rc<Account>,
    bytes: usize,
}

impl Held {
    /// From now on, that many bytes are charged instead.
    #[inline]
    pub fn resize(&mut self, bytes: usize) {
        if bytes == self.bytes {
            return;
        }
        self.account.take(self.bytes);
        self.account.add(bytes);
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.take(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn everything_goes_back() {
        let ledger = Rc::<Ledger>::default();
        let account = Account::open(ledger.clone());
        let mut held = account.hold(MIB);
        held.resize(2 * MIB);
        account.forward(5);
        assert_eq!((account.held(), account.forwarded()), (2 * MIB + 5, 5));
        account.forwarded_all(5);
        drop(held);
        assert_eq!((account.held(), ledger.holders.get()), (0, 0));
        account.add(100 * MIB);
        drop(account);
        assert_eq!((ledger.held(), ledger.holders.get()), (0, 0));
    }

    #[test]
    fn those_that_hold_most_are_restricted_and_nobody_else() {
        let ledger = Rc::<Ledger>::default();
        ledger.set_limit(64 * MIB);
        let greedy = Account::open(ledger.clone());
        let modest = Account::open(ledger.clone());
        modest.add(MIB);
        greedy.add(30 * MIB);
        assert!(!greedy.is_over_share(), "half of the limit is free for all");
        greedy.add(2 * MIB);
        assert!(greedy.is_over_share() && !modest.is_over_share());
        assert!(ledger.take_restricted() && !ledger.take_restricted());
        // It is looked at again, though by then others may have made room.
        greedy.take(31 * MIB);
        assert!(greedy.take_stopped() && !greedy.take_stopped() && !modest.take_stopped());
        greedy.add(31 * MIB);
        let idle = Account::open(ledger.clone());
        greedy.add(64 * MIB);
        assert!(ledger.is_full() && !idle.is_over_share());
    }

    #[test]
    fn many_small_ones_share() {
        let ledger = Rc::<Ledger>::default();
        ledger.set_limit(64 * MIB);
        let all: Vec<_> = (0..320).map(|_| Account::open(ledger.clone())).collect();
        let mut rounds = 0;
        while all.iter().any(|one| !one.is_over_share()) && rounds < 10_000 {
            for one in all.iter().filter(|one| !one.is_over_share()) {
                one.add(32 * 1024);
            }
            rounds += 1;
        }
        assert!(ledger.held() < 48 * MIB, "{} are held", ledger.held());
    }
}
