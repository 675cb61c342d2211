//! The memory that all connections make Remora hold, in bytes, and its limit.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of bytes that an account may always hold, however many others share the limit.
pub(crate) const LEAST_SHARE: usize = 16 * 1024;

/// A change by less than this part of the limit, at all workers together, is not published to other
/// workers before the next tick.
const UNPUBLISHED_PART: usize = 32;

/// The memory that the connections of all workers make Remora hold, and its limit.
#[derive(Debug)]
pub struct Pool {
    limit: usize,
    held: AtomicUsize,
    groups: AtomicUsize,
    /// Workers whose ledgers count here.
    workers: AtomicUsize,
}

impl Pool {
    /// A pool with that limit in bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicUsize::new(0),
            groups: AtomicUsize::new(0),
            workers: AtomicUsize::new(0),
        })
    }
}

/// The memory that all connections of a worker make it hold.
#[derive(Debug)]
pub struct Ledger {
    pool: RefCell<Arc<Pool>>,
    limit: Cell<usize>,
    held: Cell<usize>,
    /// Groups with accounts that hold more than [`LEAST_SHARE`].
    pub(crate) groups: Cell<usize>,
    /// Bytes and groups that were published to other workers.
    published: Cell<(usize, usize)>,
    /// Bytes that other workers held at the last [`publish`](Self::publish), and their groups.
    others: Cell<(usize, usize)>,
    /// The range of held bytes within which nothing is published before the next tick.
    quiet: Cell<(usize, usize)>,
    /// Whether a connection held more than its share since
    /// [`take_restricted`](Self::take_restricted) was called last.
    pub(crate) restricted: Cell<bool>,
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
    /// The limit in bytes for all workers together.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.get()
    }

    /// Counts this worker's memory together with that of the other workers of the pool.
    pub fn join(&self, pool: Arc<Pool>) {
        self.limit.set(pool.limit);
        pool.workers.fetch_add(1, Ordering::Relaxed);
        *self.pool.borrow_mut() = pool;
        self.publish();
    }

    /// Publishes this worker's memory to the other workers, and reads theirs. Must be called with
    /// each tick; large changes are published without it.
    pub fn publish(&self) {
        let pool = self.pool.borrow();
        let (held, groups) = (self.held.get(), self.groups.get());
        let (known, known_groups) = self.published.replace((held, groups));
        let all = change(&pool.held, known, held);
        let all_groups = change(&pool.groups, known_groups, groups);
        self.others
            .set((all.saturating_sub(held), all_groups.saturating_sub(groups)));
        // Each worker may hold this much that the others do not know of.
        let workers = pool.workers.load(Ordering::Relaxed).max(1);
        let step = (pool.limit / UNPUBLISHED_PART / workers).max(1);
        self.quiet
            .set((held.saturating_sub(step), held.saturating_add(step)));
    }

    #[inline]
    pub(crate) fn set_held(&self, held: usize) {
        self.held.set(held);
        let (low, high) = self.quiet.get();
        if held < low || held > high {
            self.publish();
        }
    }

    /// Bytes that this worker holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// Bytes that all workers hold, as far as published.
    fn held_by_all(&self) -> usize {
        self.held.get() + self.others.get().0
    }

    /// Whether so much is held that accounts are restricted to their shares.
    #[inline]
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.held_by_all() > self.limit.get() / 2
    }

    /// This worker's part of the bytes held beyond three quarters of the limit: the connections
    /// that hold most must be closed.
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

    /// Whether connections were stopped for their memory since the last call: they must be checked
    /// again.
    pub fn take_restricted(&self) -> bool {
        self.restricted.take()
    }

    /// Bytes that each account of a group may hold while shares count. `holders` is the number of
    /// its accounts that hold more than [`LEAST_SHARE`].
    pub(crate) fn share(&self, holders: usize) -> usize {
        let groups = self.groups.get() + self.others.get().1;
        let of_group = self.limit.get() / 2 / groups.max(1);
        (of_group / holders.max(1)).max(LEAST_SHARE)
    }
}

/// Adds a change of this worker to the sum of all workers; returns the sum.
fn change(sum: &AtomicUsize, before: usize, now: usize) -> usize {
    let change = now.wrapping_sub(before);
    sum.fetch_add(change, Ordering::Relaxed)
        .wrapping_add(change)
}
