//! Clients that poll, and have no connection on which brokers could know them: each call may come
//! over another connection, to another worker.
//!
//! Consoles show a group as offline that has no member, and brokers check transactions only with a
//! producer that they know. So a worker registers a member of its own for each group that is polled
//! here, and for each topic whose checks are: from the first poll on, until a minute after the last
//! one (three seconds after one that has waited for checks), or until the worker drains. All
//! clients of the group are behind the one member; brokers know a worker, not a client.

mod checks;
mod poller;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use remoting_transport::Account;
use route_cache::{AddressKey, Upstream};
use tokio::time::{Instant, sleep_until};

use crate::caller::Caller;
use crate::calls::{Requests, given_up};
use crate::error::{ErrorKind, MessagingError};
use crate::ids::random;
use crate::metrics::CheckMetrics;
use crate::policy::Policy;
use poller::Poller;

pub use checks::TransactionCheck;
pub use poller::Poll;

/// Most members of a worker; clients of one address cause a quarter of them. Each has a connection
/// to each broker of its topics.
const POLLERS_MAX: usize = 512;
const OF_ADDRESS_MAX: usize = POLLERS_MAX / 4;

/// What a member is registered as.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Role {
    /// A consumer in that group.
    Consumer(Box<str>),
    /// A producer whose group is the topic of that name.
    Producer(Box<str>),
}

/// The members that a worker registers for clients that poll.
#[derive(Debug)]
pub struct Pollers {
    caller: Caller,
    account: Rc<Account>,
    protocol: &'static str,
    client_id: String,
    metrics: Arc<CheckMetrics>,
    all: RefCell<HashMap<Role, Rc<Poller>>>,
    is_leaving: Cell<bool>,
}

impl Pollers {
    /// Those of a worker with these connections to brokers. Consoles show the clients of that
    /// protocol as `protocol@host`, with a number behind it that differs from worker to worker:
    /// consumers of the remoting protocol cannot divide queues among members of equal ids.
    #[must_use]
    pub fn new(
        upstream: Rc<Upstream>,
        policy: Arc<Policy>,
        metrics: Arc<CheckMetrics>,
        protocol: &'static str,
        host: &str,
    ) -> Rc<Self> {
        let account = Account::open(upstream.buffers().ledger().clone());
        // It is no client: its look-ups are Remora's own.
        let own = Ipv4Addr::UNSPECIFIED.into();
        Rc::new(Self {
            caller: Caller::new(upstream, policy, own, None),
            account,
            protocol,
            client_id: format!("{protocol}@{host}#{:08x}", random() as u32),
            metrics,
            all: RefCell::default(),
            is_leaving: Cell::new(false),
        })
    }

    /// A client from that address polls a topic in that group: the group has a member while the
    /// result lives, and for a minute after. `None` if there are too many members, or the worker
    /// drains; the client is served all the same.
    pub fn consume(self: &Rc<Self>, from: AddressKey, group: &str, topic: &str) -> Option<Poll> {
        let poll = self.begin(Role::Consumer(group.into()), from)?;
        poll.subscribe(topic);
        Some(poll)
    }

    /// Waits until brokers check transactions of the topic, for `wait` at most; returns the checks,
    /// `max` at most. Each is handed out once: if its transaction is not ended, the broker checks
    /// it again, and the former token must not be used any more.
    ///
    /// # Errors
    /// [`ErrorKind::GivenUp`] if the client must leave; [`ErrorKind::Busy`] if it has too many long
    /// polls, or checks of too many topics are polled.
    pub async fn poll_checks(
        self: &Rc<Self>,
        requests: &Rc<Requests>,
        topic: &str,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<TransactionCheck>, MessagingError> {
        let deadline = Instant::now() + wait;
        let _wait = requests.begin_wait(topic, topic)?;
        if self.is_leaving.get() {
            return Err(given_up());
        }
        let from = requests.caller().address().key();
        let poll = self.begin(Role::Producer(topic.into()), from);
        let poll = poll.ok_or_else(|| {
            let text = "checks of too many topics are polled here: try again later";
            MessagingError::new(ErrorKind::Busy, text)
        })?;
        poll.waits(!wait.is_zero());
        loop {
            let changed = poll.changed();
            let checks = poll.take_checks(max);
            if !checks.is_empty() {
                return Ok(checks);
            }
            if poll.has_ended() {
                return Err(given_up());
            }
            tokio::select! {
                () = changed => {}
                () = sleep_until(deadline) => return Ok(Vec::new()),
                error = requests.polls_end() => return Err(error),
            }
        }
    }

    /// Ends all members at once, because the worker drains.
    pub fn leave(&self) {
        self.is_leaving.set(true);
        for poller in self.all.take().into_values() {
            poller.end();
        }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.borrow().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A poll of the member of that role, which is made if there is none.
    fn begin(self: &Rc<Self>, role: Role, from: AddressKey) -> Option<Poll> {
        if let Some(poller) = self.all.borrow().get(&role) {
            return Some(Poll::new(poller));
        }
        if self.is_leaving.get() || !self.has_room(from) {
            return None;
        }
        let poller = Poller::new(self, &role, from);
        self.all.borrow_mut().insert(role.clone(), poller.clone());
        let poll = Poll::new(&poller);
        let this = self.clone();
        tokio::task::spawn_local(async move {
            poller.run().await;
            // Nothing is awaited in between: no poll can start to use it.
            let mut all = this.all.borrow_mut();
            if all.get(&role).is_some_and(|now| Rc::ptr_eq(now, &poller)) {
                all.remove(&role);
            }
            drop(all);
            poller.end();
        });
        Some(poll)
    }

    fn has_room(&self, from: AddressKey) -> bool {
        let all = self.all.borrow();
        let theirs = all.values().filter(|poller| poller.owner() == from);
        all.len() < POLLERS_MAX && theirs.count() < OF_ADDRESS_MAX
    }
}
