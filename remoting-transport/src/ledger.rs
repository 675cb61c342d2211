//! What all connections make Remora hold, in bytes, and how much that may be.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What an account may hold however many others hold something.
pub(crate) const LEAST_SHARE: usize = 16 * 1024;

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
    pub(crate) groups: Cell<usize>,
    /// What of that other workers know.
    published: Cell<(usize, usize)>,
    /// What other workers held when this was last looked at, and in how many groups.
    others: Cell<(usize, usize)>,
    /// Publish again when this worker holds less, or more.
    quiet: Cell<(usize, usize)>,
    /// A connection was found to hold more than its share since this was last looked at.
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
    pub(crate) fn set_held(&self, held: usize) {
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

    /// What each account of a group may hold while shares count, of which so many hold more than [`LEAST_SHARE`].
    pub(crate) fn share(&self, holders: usize) -> usize {
        let groups = self.groups.get() + self.others.get().1;
        let of_group = self.limit.get() / 2 / groups.max(1);
        (of_group / holders.max(1)).max(LEAST_SHARE)
    }
}

/// Adds a change here to the sum of all workers; returns the sum.
fn change(sum: &AtomicUsize, before: usize, now: usize) -> usize {
    let change = now.wrapping_sub(before);
    sum.fetch_add(change, Ordering::Relaxed)
        .wrapping_add(change)
}
