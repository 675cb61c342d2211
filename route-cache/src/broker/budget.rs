//! How much clients may have outstanding at one broker.
//!
//! Requests and long polls have budgets of their own, for polls are idle by nature: however many there are, sends do not
//! feel it. While less than half of a budget is used, nobody is restricted. Above that, a client may use a fair share of
//! that half; one that has nothing outstanding is never refused. When a client goes, what it had outstanding leaves the
//! budget at once, though the broker may still answer it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Long polls that may be outstanding, for each request that may.
const POLLS_PER_REQUEST: usize = 4;

/// What a client may have outstanding however many others have something: a consumer has a poll for each queue.
const LEAST_REQUESTS: usize = 16;
const LEAST_POLLS: usize = 256;

/// What a worker's clients have outstanding at one broker.
#[derive(Debug)]
pub struct Budget {
    requests: Use,
    polls: Use,
}

#[derive(Debug)]
struct Use {
    limit: usize,
    least: usize,
    used: Cell<usize>,
    /// Clients that use some of it.
    users: Cell<usize>,
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

    /// Whether a client that has `own` outstanding may have one more.
    #[inline]
    fn allows(&self, own: usize) -> bool {
        let half = self.limit / 2;
        self.used.get() < half
            || own < self.least.min(1)
            || own < (half / self.users.get().max(1)).max(self.least)
    }

    fn begin(&self, own: &Cell<usize>) {
        self.used.set(self.used.get() + 1);
        if own.replace(own.get() + 1) == 0 {
            self.users.set(self.users.get() + 1);
        }
    }

    fn end(&self, own: &Cell<usize>, count: usize) {
        let before = own.get();
        let count = count.min(before);
        if count == 0 {
            return;
        }
        own.set(before - count);
        self.used.set(self.used.get().saturating_sub(count));
        if before == count {
            self.users.set(self.users.get().saturating_sub(1));
        }
    }
}

impl Budget {
    /// Of a broker at which that many requests may be outstanding.
    pub(crate) fn new(requests: usize) -> Self {
        Self {
            requests: Use::new(requests, LEAST_REQUESTS),
            polls: Use::new(requests.saturating_mul(POLLS_PER_REQUEST), LEAST_POLLS),
        }
    }

    /// Requests that are outstanding, long polls not among them.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.used.get()
    }

    /// Long polls that are outstanding.
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

/// Which of a client's uses a request belongs to, to be told when it ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Slot(u16);

/// What one client has outstanding, by broker.
#[derive(Debug, Default)]
pub struct Outstanding {
    by_broker: RefCell<Vec<Own>>,
    closed: Cell<bool>,
}

#[derive(Debug)]
struct Own {
    budget: Rc<Budget>,
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
    /// Takes in a request to the broker of that budget; `None` when the client has its share outstanding already.
    pub fn begin(&self, budget: &Rc<Budget>, is_poll: bool) -> Option<Slot> {
        let mut all = self.by_broker.borrow_mut();
        let known = all.iter().position(|own| Rc::ptr_eq(&own.budget, budget));
        let at = match known {
            Some(at) => at,
            None => {
                let at = u16::try_from(all.len()).ok()?;
                all.push(Own {
                    budget: budget.clone(),
                    requests: Cell::new(0),
                    polls: Cell::new(0),
                });
                usize::from(at)
            }
        };
        let own = all.get(at)?;
        let (used, count) = (budget.of(is_poll), own.of(is_poll));
        if !used.allows(count.get()) || self.closed.get() {
            return None;
        }
        used.begin(count);
        Some(Slot(at as u16))
    }

    /// A request was answered, or will not be.
    pub fn end(&self, slot: Slot, is_poll: bool) {
        if let Some(own) = self.by_broker.borrow().get(usize::from(slot.0)) {
            own.budget.of(is_poll).end(own.of(is_poll), 1);
        }
    }

    /// The client has gone: it has nothing outstanding any more.
    pub fn close(&self) {
        self.closed.set(true);
        for own in &*self.by_broker.borrow() {
            for is_poll in [false, true] {
                let count = own.of(is_poll);
                own.budget.of(is_poll).end(count, count.get());
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
    use super::*;

    fn fill(budget: &Rc<Budget>, is_poll: bool) -> (Outstanding, usize) {
        let client = Outstanding::default();
        let count = (0..1_000_000).take_while(|_| client.begin(budget, is_poll).is_some());
        let count = count.count();
        (client, count)
    }

    #[test]
    fn one_client_gets_half_and_others_their_share() {
        let budget = Rc::new(Budget::new(1000));
        let (first, count) = fill(&budget, false);
        assert_eq!(count, 500);
        let (_second, count) = fill(&budget, false);
        assert_eq!(count, 250);
        let others: Vec<_> = (0..100).map(|_| Outstanding::default()).collect();
        assert!(others.iter().all(|one| one.begin(&budget, false).is_some()));
        drop(first);
        assert_eq!(budget.requests(), 350);
    }

    #[test]
    fn polls_are_not_in_the_budget_of_requests() {
        let budget = Rc::new(Budget::new(1000));
        let (_greedy, polls) = fill(&budget, true);
        assert_eq!(polls, 2000);
        assert_eq!(fill(&budget, false).1, 500);
    }

    #[test]
    fn what_a_client_had_leaves_with_it_and_once() {
        let budget = Rc::new(Budget::new(1000));
        let client = Outstanding::default();
        let slot = client.begin(&budget, true).unwrap();
        let other = Outstanding::default();
        other.begin(&budget, true).unwrap();
        client.close();
        assert_eq!(budget.polls(), 1);
        // The broker's answer comes later.
        client.end(slot, true);
        drop(client);
        assert_eq!((budget.polls(), budget.polls.users.get()), (1, 1));
    }
}
