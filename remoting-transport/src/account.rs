//! The memory that each connection makes Remora hold, in bytes.
//!
//! A worker has one [`Ledger`]; the ledgers add up in a [`Pool`](crate::Pool), which has one limit
//! for all. Every connection has an [`Account`] in its worker's ledger. Charged to it is all that
//! the worker keeps for the connection: part of a frame, bytes that wait to be written to it,
//! frames from it that wait to be written to others, requests that became tasks, and its
//! declaration. On the hot path that costs an addition and no look-up.
//!
//! While less than half of the limit is held, no account is restricted. Above that, each account
//! may hold a fair share of that half, and the connection of an account that holds more is not
//! read. The clients' addresses share the half equally, and the clients of an address share the
//! part of the address. A client that holds nothing is never restricted.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use crate::ledger::{LEAST_SHARE, Ledger};

/// A connection is not read while so many bytes that arrived over it wait to be written to others.
/// The backpressure of a broker thus reaches its clients, as over a direct connection.
const FORWARDED_MAX: usize = 256 * 1024;

/// Bytes that an idle connection needs for its task and its tables. Measured: 6.3 KB for an idle
/// client and its lane.
pub const CONNECTION: usize = 3 * 1024;

/// Accounts that share one allowance: those of the clients from one address.
#[derive(Debug, Default)]
pub struct Group {
    /// Accounts that hold more than [`LEAST_SHARE`].
    holders: Cell<usize>,
}

/// The memory that one connection makes its worker hold.
#[derive(Debug)]
pub struct Account {
    ledger: Rc<Ledger>,
    /// The group that it shares with; none if it is never restricted.
    group: OnceCell<Rc<Group>>,
    held: Cell<usize>,
    /// Of these, the bytes that wait to be written to other connections.
    forwarded: Cell<usize>,
    /// Whether it held more than its share since [`take_stopped`](Self::take_stopped) was called
    /// last.
    is_stopped: Cell<bool>,
    /// The connection's task, while it is not read.
    reader: RefCell<Option<Waker>>,
}

impl Account {
    /// An account of a new connection.
    #[must_use]
    pub fn open(ledger: Rc<Ledger>) -> Rc<Self> {
        ledger.set_held(ledger.held() + CONNECTION);
        Rc::new(Self {
            ledger,
            group: OnceCell::new(),
            held: Cell::new(0),
            forwarded: Cell::new(0),
            is_stopped: Cell::new(false),
            reader: RefCell::default(),
        })
    }

    /// Makes the account share with others of that group. Must be called before anything is
    /// charged.
    pub fn join(&self, group: Rc<Group>) {
        let _ = self.group.set(group);
    }

    /// Bytes that the connection makes its worker hold, without [`CONNECTION`].
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// Bytes that arrived over the connection and wait to be written to others.
    #[must_use]
    pub fn forwarded(&self) -> usize {
        self.forwarded.get()
    }

    /// Charges the connection for bytes that it makes the worker hold.
    #[inline]
    pub fn add(&self, bytes: usize) {
        self.set(self.held.get() + bytes);
    }

    /// Removes a charge.
    #[inline]
    pub fn take(&self, bytes: usize) {
        self.set(self.held.get().saturating_sub(bytes));
    }

    #[inline]
    fn set(&self, held: usize) {
        let before = self.held.replace(held);
        let ledger = &*self.ledger;
        ledger.set_held((ledger.held() + held).saturating_sub(before));
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

    /// Removes the charge: the bytes were written to the other connection, or never will be.
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

    /// Whether more frames for other connections may be read.
    #[inline]
    #[must_use]
    pub fn may_forward(&self) -> bool {
        self.forwarded.get() < FORWARDED_MAX
    }

    /// Wakes the connection's task when more may be read.
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
        let share = self
            .group
            .get()
            .map(|group| self.ledger.share(group.holders.get()));
        let is_over = share.is_some_and(|share| self.held.get() > share);
        if is_over {
            self.ledger.restricted.set(true);
            self.is_stopped.set(true);
        }
        is_over
    }

    /// Whether the connection was stopped for its memory since the last call. Its task then checks
    /// whether it must remain stopped.
    pub fn take_stopped(&self) -> bool {
        self.is_stopped.take()
    }

    /// Charges bytes until the returned value is dropped.
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
        let held = self.ledger.held();
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
    /// Changes the charge to that many bytes.
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
mod tests;
