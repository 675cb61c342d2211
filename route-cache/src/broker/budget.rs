//! The budget of outstanding requests at one broker.
//!
//! Requests and long polls have separate budgets, because polls are idle by nature: their number
//! must not affect sends. While less than half of a budget is used, no client is restricted. Above
//! that, a client may use a fair share of that half: the clients' addresses share the half equally,
//! and the clients of an address share the part of the address. A client that has nothing
//! outstanding is never refused. When a client disconnects, its outstanding requests leave the
//! budget immediately, although the broker may still answer them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::address::{AddressKey, ByAddress};

/// The ratio of the limits: outstanding long polls for each outstanding request.
const POLLS_PER_REQUEST: usize = 4;

/// The number of requests that a client may always have outstanding, however many clients there
/// are, unless its address has used up its share. A consumer has a poll for each queue.
const LEAST_REQUESTS: usize = 16;
const LEAST_POLLS: usize = 256;

/// The outstanding requests of a worker's clients at one broker.
#[derive(Debug)]
pub struct Budget {
    requests: Use,
    polls: Use,
    by_address: ByAddress<Parts>,
}

#[derive(Debug)]
struct Use {
    limit: usize,
    least: usize,
    used: Cell<usize>,
    /// The number of addresses whose clients use the budget.
    users: Cell<usize>,
}

/// The part of the budget that the clients of one address use.
#[derive(Debug, Default)]
struct Part {
    used: Cell<usize>,
    /// The number of these clients.
    users: Cell<usize>,
}

/// The outstanding requests of the clients of one address at one broker.
#[derive(Debug, Default)]
struct Parts {
    requests: Part,
    polls: Part,
}

impl Parts {
    fn of(&self, is_poll: bool) -> &Part {
        match is_poll {
            true => &self.polls,
            false => &self.requests,
        }
    }
}

fn increase(count: &Cell<usize>) -> usize {
    count.replace(count.get() + 1)
}

fn decrease(count: &Cell<usize>, by: usize) -> usize {
    let now = count.get().saturating_sub(by);
    count.set(now);
    now
}

impl Use {
    fn new(limit: usize, least: usize) -> Self {
        Self {
            limit,
            least,
            used: Cell::new(0),
            users: Cell::new(0),
        }
    }

    /// Whether a client may have one more request outstanding. It has `own`, and its address has
    /// `part`.
    #[inline]
    fn allows(&self, own: usize, part: &Part) -> bool {
        self.used.get() < self.limit / 2 || own == 0 || self.is_within_share(own, part)
    }

    #[cold]
    fn is_within_share(&self, own: usize, part: &Part) -> bool {
        let of_address = self.limit / 2 / self.users.get().max(1);
        let share = of_address / part.users.get().max(1);
        let used = part.used.get();
        // Each further client would get a share of what earlier clients use already. That adds up,
        // so it is bounded.
        (own < share && used < of_address * 2) || (own < self.least && used < of_address)
    }

    fn begin(&self, own: &Cell<usize>, part: &Part) {
        increase(&self.used);
        if increase(own) == 0 && increase(&part.users) == 0 {
            increase(&self.users);
        }
        increase(&part.used);
    }

    fn end(&self, own: &Cell<usize>, part: &Part, count: usize) {
        let count = count.min(own.get());
        if count == 0 {
            return;
        }
        decrease(&self.used, count);
        decrease(&part.used, count);
        if decrease(own, count) == 0 && decrease(&part.users, 1) == 0 {
            decrease(&self.users, 1);
        }
    }
}

impl Budget {
    /// The budget of a broker with that limit of outstanding requests.
    pub(crate) fn new(requests: usize) -> Self {
        Self {
            requests: Use::new(requests, LEAST_REQUESTS),
            polls: Use::new(requests.saturating_mul(POLLS_PER_REQUEST), LEAST_POLLS),
            by_address: ByAddress::default(),
        }
    }

    /// Outstanding requests without long polls.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.used.get()
    }

    /// Outstanding long polls.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.polls.used.get()
    }

    fn of(&self, is_poll: bool) -> &Use {
        match is_poll {
            true => &self.polls,
            false => &self.requests,
        }
    }
}

/// Identifies the budget that a request of a client is counted in, for the end of the request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Slot(u16);

/// The outstanding requests of one client, by broker.
#[derive(Debug)]
pub struct Outstanding {
    address: AddressKey,
    by_broker: RefCell<Vec<Own>>,
    closed: Cell<bool>,
}

#[derive(Debug)]
struct Own {
    budget: Rc<Budget>,
    address: Rc<Parts>,
    requests: Cell<usize>,
    polls: Cell<usize>,
}

impl Own {
    fn of(&self, is_poll: bool) -> &Cell<usize> {
        match is_poll {
            true => &self.polls,
            false => &self.requests,
        }
    }
}

impl Outstanding {
    /// For a new client from that address, with nothing outstanding.
    #[must_use]
    pub fn new(address: AddressKey) -> Self {
        Self {
            address,
            by_broker: RefCell::default(),
            closed: Cell::new(false),
        }
    }

    /// Counts a request to the broker of that budget; `None` when the client has used up its share.
    pub fn begin(&self, budget: &Rc<Budget>, is_poll: bool) -> Option<Slot> {
        let mut all = self.by_broker.borrow_mut();
        let known = all.iter().position(|own| Rc::ptr_eq(&own.budget, budget));
        let at = match known {
            Some(at) => at,
            None => {
                let at = u16::try_from(all.len()).ok()?;
                all.push(Own {
                    budget: budget.clone(),
                    address: budget.by_address.of(self.address, Parts::default),
                    requests: Cell::new(0),
                    polls: Cell::new(0),
                });
                usize::from(at)
            }
        };
        let own = all.get(at)?;
        let (used, count) = (budget.of(is_poll), own.of(is_poll));
        let part = own.address.of(is_poll);
        if !used.allows(count.get(), part) || self.closed.get() {
            return None;
        }
        used.begin(count, part);
        Some(Slot(at as u16))
    }

    /// Records that a request was answered or failed.
    pub fn end(&self, slot: Slot, is_poll: bool) {
        if let Some(own) = self.by_broker.borrow().get(usize::from(slot.0)) {
            let part = own.address.of(is_poll);
            own.budget.of(is_poll).end(own.of(is_poll), part, 1);
        }
    }

    /// Records that the client has disconnected: its requests do not count any more.
    pub fn close(&self) {
        self.closed.set(true);
        for own in &*self.by_broker.borrow() {
            for is_poll in [false, true] {
                let count = own.of(is_poll);
                let part = own.address.of(is_poll);
                own.budget.of(is_poll).end(count, part, count.get());
            }
        }
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn client(host: u8) -> Outstanding {
        Outstanding::new(IpAddr::from([10, 0, 0, host]).into())
    }

    fn fill(client: &Outstanding, budget: &Rc<Budget>, is_poll: bool) -> usize {
        let count = (0..1_000_000).take_while(|_| client.begin(budget, is_poll).is_some());
        count.count()
    }

    #[test]
    fn one_client_gets_half_and_others_their_share() {
        let budget = Rc::new(Budget::new(1000));
        let (first, second) = (client(1), client(1));
        assert_eq!(fill(&first, &budget, false), 500);
        assert_eq!(fill(&second, &budget, false), 250);
        let others: Vec<_> = (0..100).map(|_| client(1)).collect();
        assert!(others.iter().all(|one| one.begin(&budget, false).is_some()));
        drop(first);
        assert_eq!(budget.requests(), 350);
    }

    #[test]
    fn many_clients_of_one_address_leave_others_their_share() {
        let budget = Rc::new(Budget::new(65_536));
        let greedy: Vec<_> = (0..4096).map(|_| client(1)).collect();
        greedy.iter().for_each(|one| {
            fill(one, &budget, false);
        });
        assert!(budget.requests() <= 65_536 + 4096, "{}", budget.requests());
        let other = client(2);
        assert_eq!(fill(&other, &budget, false), 65_536 / 2 / 2);
        // A client with nothing outstanding is served.
        assert!(client(1).begin(&budget, false).is_some());
    }

    #[test]
    fn polls_are_not_in_the_budget_of_requests() {
        let budget = Rc::new(Budget::new(1000));
        let (greedy, other) = (client(1), client(2));
        assert_eq!(fill(&greedy, &budget, true), 2000);
        assert_eq!(fill(&other, &budget, false), 500);
    }

    #[test]
    fn a_disconnected_clients_requests_leave_the_budget_once() {
        let budget = Rc::new(Budget::new(1000));
        let (one, other) = (client(1), client(2));
        let slot = one.begin(&budget, true).unwrap();
        other.begin(&budget, true).unwrap();
        one.close();
        assert_eq!(budget.polls(), 1);
        // The broker answers later.
        one.end(slot, true);
        drop(one);
        assert_eq!((budget.polls(), budget.polls.users.get()), (1, 1));
    }
}
