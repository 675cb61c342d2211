//! A worker's buffers.

use std::cell::{Cell, RefCell, RefMut};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use tokio::time::Instant;

use crate::account::Account;
use crate::ledger::Ledger;
use crate::turns::{Turn, Turns};

/// Most bytes of one read. Large enough that a busy broker connection is read in few calls, small
/// enough to stay in a core's cache.
const READ_SIZE: usize = 64 * 1024;

/// Most write buffers that are kept for the next connection that needs one.
const SPARE_MAX: usize = 64;

/// A write buffer that has grown over this is freed instead.
const SPARE_CAPACITY_MAX: usize = 256 * 1024;

/// The buffers that all connections of one worker share.
#[derive(Debug)]
pub struct Buffers {
    read: RefCell<Box<[u8]>>,
    spare: RefCell<Vec<Vec<u8>>>,
    now: Cell<Instant>,
    ledger: Rc<Ledger>,
    turns: Rc<Turns>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            read: RefCell::new(vec![0; READ_SIZE].into_boxed_slice()),
            spare: RefCell::default(),
            now: Cell::new(Instant::now()),
            ledger: Rc::default(),
            turns: Rc::default(),
        }
    }
}

impl Buffers {
    /// The time when the worker last read the clock: when the frames being served were read, or the
    /// current task was woken. One reading per read of a socket costs less than one per request.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// Reads the clock, for the durations that are measured next.
    #[inline]
    pub fn stamp(&self) -> Instant {
        if cfg!(uncounted) {
            return self.now.get();
        }
        self.read_clock()
    }

    /// Reads the clock; [`Self::now`] returns this moment until the next reading.
    pub fn read_clock(&self) -> Instant {
        let now = Instant::now();
        self.now.set(now);
        now
    }

    /// The memory that the worker holds for its connections.
    #[must_use]
    pub fn ledger(&self) -> &Rc<Ledger> {
        &self.ledger
    }

    /// The account of a new connection.
    #[must_use]
    pub fn account(&self) -> Rc<Account> {
        Account::open(self.ledger.clone())
    }

    /// The queue of connections that have more to read or write than fits into one turn.
    #[must_use]
    pub fn turns(&self) -> &Rc<Turns> {
        &self.turns
    }

    /// Waits in the queue of turns, to do work that takes about as long as one turn.
    pub async fn turn(&self) {
        let turn = Rc::<Turn>::default();
        let mut waits = false;
        poll_fn(|cx| {
            if waits && !turn.waits() {
                return Poll::Ready(());
            }
            waits = true;
            self.turns.wait(&turn, cx);
            Poll::Pending
        })
        .await;
    }

    /// The read buffer, borrowed for one read and its frames.
    pub(crate) fn read(&self) -> RefMut<'_, Box<[u8]>> {
        self.read.borrow_mut()
    }

    /// An empty write buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a write buffer back.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX && buffer.capacity() <= SPARE_CAPACITY_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    }
}
