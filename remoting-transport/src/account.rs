//! What peers make Remora hold, in bytes, and whose it is.
//!
//! A worker has one [`Ledger`]; what all of them hold adds up in a [`Pool`], and the limit is one for all. Every connection has an [`Account`] in it, to which is charged what the connection makes
//! the worker keep: part of a frame, what waits to be written to it or, in its name, to others, requests that became tasks,
//! what it has declared. The hot path pays an addition for it; nothing is looked up.
//!
//! While less than half of the limit is held, nobody is restricted. Above that, an account may hold a fair share of that
//! half, and the connection of one that holds more is not read: the addresses that clients come from share the half, and
//! the clients of an address share what that has. Whoever holds nothing is never restricted.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

/// What an account may hold however many others hold something.
const LEAST_SHARE: usize = 16 * 1024;

/// A connection is not read while so much of what came over it waits to be written to others: its peer is held back as by
/// a broker that it is connected to directly.
const FORWARDED_MAX: usize = 256 * 1024;

/// What a connection takes by itself: its task and its tables. Measured: 6.3 KB for an idle client and its lane.
pub const CONNECTION: usize = 3 * 1024;

/// What changes by less than this part of the limit is not published to other workers before the next tick.
const UNPUBLISHED_PART: usize = 32;

/// What the connections of all workers make Remora hold, and how much that may be.
#[derive(Debug)]
pub struct Pool {
    limit: usize,
    held: AtomicUsize,
    groups: AtomicUsize,
}

impl Pool {
    /// In which that many bytes may be held.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicUsize::new(0),
            groups: AtomicUsize::new(0),
        })
    }
}

/// What all connections of a worker make it hold.
#[derive(Debug)]
pub struct Ledger {
    pool: RefCell<Arc<Pool>>,
    limit: Cell<usize>,
    held: Cell<usize>,
    /// Groups with accounts that hold more than [`LEAST_SHARE`].
    groups: Cell<usize>,
    /// What of that other workers know.
    published: Cell<(usize, usize)>,
    /// What other workers held when this was last looked at, and in how many groups.
    others: Cell<(usize, usize)>,
    /// Publish again when this worker holds less, or more.
    quiet: Cell<(usize, usize)>,
    /// A connection was found to hold more than its share since this was last looked at.
    restricted: Cell<bool>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            pool: RefCell::new(Pool::new(usize::MAX)),
            limit: Cell::new(usize::MAX),
            held: Cell::new(0),
            groups: Cell::new(0),
            published: Cell::default(),
            others: Cell::default(),
            quiet: Cell::new((0, usize::MAX)),
            restricted: Cell::new(false),
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.held.set(0);
        self.groups.set(0);
        self.publish();
    }
}

impl Ledger {
    /// Bytes that may be held in all, by all workers.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.get()
    }

    /// What is held here counts together with what other workers hold.
    pub fn join(&self, pool: Arc<Pool>) {
        self.limit.set(pool.limit);
        *self.pool.borrow_mut() = pool;
        self.publish();
    }

    /// Tells other workers what is held here, and looks at what they hold. To be called with each tick; what changes by much
    /// does not wait for that.
    pub fn publish(&self) {
        let pool = self.pool.borrow();
        let (held, groups) = (self.held.get(), self.groups.get());
        let (known, known_groups) = self.published.replace((held, groups));
        let all = change(&pool.held, known, held);
        let all_groups = change(&pool.groups, known_groups, groups);
        self.others
            .set((all.saturating_sub(held), all_groups.saturating_sub(groups)));
        let step = (pool.limit / UNPUBLISHED_PART).max(1);
        self.quiet
            .set((held.saturating_sub(step), held.saturating_add(step)));
    }

    #[inline]
    fn set_held(&self, held: usize) {
        self.held.set(held);
        let (low, high) = self.quiet.get();
        if held < low || held > high {
            self.publish();
        }
    }

    /// Bytes that are held here.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// Bytes that are held by all workers, as far as is known here.
    fn held_by_all(&self) -> usize {
        self.held.get() + self.others.get().0
    }

    /// Whether so much is held that shares count.
    #[inline]
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.held_by_all() > self.limit.get() / 2
    }

    /// This worker's part of the bytes that are held beyond three quarters of the limit: connections that hold most must end.
    #[must_use]
    pub fn overdraft(&self) -> usize {
        let all = self.held_by_all();
        let over = all.saturating_sub(self.limit.get() / 4 * 3) as u128;
        let own = over * self.held.get() as u128 / all.max(1) as u128;
        usize::try_from(own).unwrap_or(usize::MAX)
    }

    /// Whether so much is held that no further connection may be accepted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.held_by_all() > self.limit.get() / 8 * 7
    }

    /// Whether connections were stopped for what they hold since the last call: they must be looked at again.
    pub fn take_restricted(&self) -> bool {
        self.restricted.take()
    }

    /// What each account of that group may hold while shares count.
    fn share(&self, group: &Group) -> usize {
        let groups = self.groups.get() + self.others.get().1;
        let of_group = self.limit.get() / 2 / groups.max(1);
        (of_group / group.holders.get().max(1)).max(LEAST_SHARE)
    }
}

/// Has the sum of all workers know of a change here; answers what that is now.
fn change(sum: &AtomicUsize, before: usize, now: usize) -> usize {
    let change = now.wrapping_sub(before);
    sum.fetch_add(change, Ordering::Relaxed)
        .wrapping_add(change)
}

/// Accounts that share with each other what they may hold: those of the clients from one address.
#[derive(Debug, Default)]
pub struct Group {
    /// Accounts that hold more than [`LEAST_SHARE`].
    holders: Cell<usize>,
}

/// What one connection makes its worker hold.
#[derive(Debug)]
pub struct Account {
    ledger: Rc<Ledger>,
    /// Whom it shares with; none, where nobody is restricted.
    group: OnceCell<Rc<Group>>,
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
        ledger.set_held(ledger.held.get() + CONNECTION);
        Rc::new(Self {
            ledger,
            group: OnceCell::new(),
            held: Cell::new(0),
            forwarded: Cell::new(0),
            is_stopped: Cell::new(false),
            reader: RefCell::default(),
        })
    }

    /// Has the account share with others of that group. To be called before anything is held.
    pub fn join(&self, group: Rc<Group>) {
        let _ = self.group.set(group);
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
        ledger.set_held((ledger.held.get() + held).saturating_sub(before));
        let (was, is) = (before > LEAST_SHARE, held > LEAST_SHARE);
        if was != is {
            self.count_holder(is);
        }
    }

    fn count_holder(&self, is: bool) {
        let Some(group) = self.group.get() else {
            return;
        };
        let (holders, groups) = (group.holders.get(), self.ledger.groups.get());
        match is {
            true => {
                group.holders.set(holders + 1);
                self.ledger.groups.set(groups + usize::from(holders == 0));
            }
            false => {
                group.holders.set(holders.saturating_sub(1));
                let last = usize::from(holders == 1);
                self.ledger.groups.set(groups.saturating_sub(last));
            }
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
        let share = self.group.get().map(|group| self.ledger.share(group));
        let is_over = share.is_some_and(|share| self.held.get() > share);
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
        self.ledger.set_held(held.saturating_sub(CONNECTION));
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

    fn open(ledger: &Rc<Ledger>, group: &Rc<Group>) -> Rc<Account> {
        let account = Account::open(ledger.clone());
        account.join(group.clone());
        account
    }

    #[test]
    fn everything_goes_back() {
        let ledger = Rc::<Ledger>::default();
        let account = open(&ledger, &Rc::default());
        let mut held = account.hold(MIB);
        held.resize(2 * MIB);
        account.forward(5);
        assert_eq!((account.held(), account.forwarded()), (2 * MIB + 5, 5));
        account.forwarded_all(5);
        drop(held);
        assert_eq!((account.held(), ledger.groups.get()), (0, 0));
        account.add(100 * MIB);
        drop(account);
        assert_eq!((ledger.held(), ledger.groups.get()), (0, 0));
    }

    #[test]
    fn those_that_hold_most_are_restricted_and_nobody_else() {
        let ledger = Rc::<Ledger>::default();
        ledger.join(Pool::new(64 * MIB));
        let group = Rc::default();
        let greedy = open(&ledger, &group);
        let modest = open(&ledger, &group);
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
        let idle = open(&ledger, &group);
        greedy.add(64 * MIB);
        assert!(ledger.is_full() && !idle.is_over_share());
    }

    #[test]
    fn many_of_one_address_leave_others_their_share() {
        let ledger = Rc::<Ledger>::default();
        ledger.join(Pool::new(64 * MIB));
        let many = Rc::default();
        let all: Vec<_> = (0..2000).map(|_| open(&ledger, &many)).collect();
        all.iter().for_each(|one| one.add(17 * 1024));
        let other = open(&ledger, &Rc::default());
        other.add(12 * MIB);
        assert!(ledger.is_tight() && !other.is_over_share());
        assert!(all.iter().all(|one| one.is_over_share()));
        drop(all);
        assert_eq!(ledger.groups.get(), 1);
    }

    #[test]
    fn workers_share_one_limit() {
        let pool = Pool::new(64 * MIB);
        let ledgers = [(); 4].map(|()| {
            let ledger = Rc::<Ledger>::default();
            ledger.join(pool.clone());
            ledger
        });
        let [here, there, ..] = &ledgers;
        // One worker may use what others do not: a large frame passes however many workers there are.
        let large = open(here, &Rc::default());
        large.add(30 * MIB);
        assert!(!large.is_over_share());
        let elsewhere = open(there, &Rc::default());
        elsewhere.add(10 * MIB);
        assert!(there.is_tight());
        there.publish();
        here.publish();
        assert!(here.is_tight() && large.is_over_share());
        elsewhere.add(20 * MIB);
        here.publish();
        let parts = [here.overdraft(), there.overdraft()];
        assert!(parts.iter().all(|part| *part > 0) && parts.iter().sum::<usize>() < 13 * MIB);
        drop(elsewhere);
        here.publish();
        assert!(!here.is_tight());
    }

    #[test]
    fn many_small_ones_share() {
        let ledger = Rc::<Ledger>::default();
        ledger.join(Pool::new(64 * MIB));
        let group = Rc::default();
        let all: Vec<_> = (0..320).map(|_| open(&ledger, &group)).collect();
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
