//! What each connection makes Remora hold, in bytes.
//!
//! A worker has one [`Ledger`]; what all of them hold adds up in a [`Pool`](crate::Pool), and the limit is one for all.
//! Every connection has an [`Account`] in it, to which is charged what the connection makes the worker keep: part of a
//! frame, what waits to be written to it or, in its name, to others, requests that became tasks, what it has declared.
//! The hot path pays an addition for it; nothing is looked up.
//!
//! While less than half of the limit is held, nobody is restricted. Above that, an account may hold a fair share of that
//! half, and the connection of one that holds more is not read: the addresses that clients come from share the half, and
//! the clients of an address share what that has. A client that holds nothing is never restricted.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use crate::ledger::{LEAST_SHARE, Ledger};

/// A connection is not read while so much of what came over it waits to be written to others: its peer is held back as by
/// a broker that it is connected to directly.
const FORWARDED_MAX: usize = 256 * 1024;

/// What a connection takes by itself: its task and its tables. Measured: 6.3 KB for an idle client and its lane.
pub const CONNECTION: usize = 3 * 1024;

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
mod tests;
