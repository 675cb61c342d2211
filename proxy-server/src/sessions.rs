//! The clients of a worker: finding those that are silent, slow or old, and closing their
//! connections.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::time::Duration;

use remoting::metrics::Limit;
use remoting::{ClientSummary, Session};
use remoting_transport::{CONNECTION, Ledger};
use slab::Slab;
use tokio::time::Instant;
use tracing::info;

use crate::config::{ClientLimits, ConnectionAgeConfig};
use route_cache::AddressKey;
use route_cache::rate::{LogThrottle, shown};

/// Clients that are ended at a limit.
static ENDED: LogThrottle = LogThrottle::per_second(10);

/// A client that holds less than this is not disconnected because of what others hold, unless all
/// clients of its address together hold this part of the limit.
const GREEDY_MIN: usize = 64 * 1024;
const GREEDY_PART: usize = 8;

/// How long a client may hold more than its share without releasing any of it while others need
/// room. Bytes that wait to be written are released in time; what the client has registered is not.
/// Since the client is not read then, not even its disconnecting would be noticed.
const OVER_SHARE_MAX: Duration = Duration::from_secs(2);

/// How long a client that must leave may take to read the last bytes written to it.
const FAREWELL_MAX: Duration = Duration::from_secs(10);

/// A client, and the state of its last scan.
#[derive(Debug)]
struct Entry {
    session: Rc<Session>,
    listener: usize,
    since: Instant,
    /// When its connection must end, if it must.
    leaves: Option<Instant>,
    /// What it had done at the last scan, and since when that has not changed.
    activity: u64,
    active: Instant,
    /// Since when part of a frame has been there, and how many whole ones had come.
    partial: Option<(Instant, u64)>,
    /// Since when it has held more than its share, and not less than that.
    over_share: Option<(Instant, usize)>,
}

/// All clients of a worker.
#[derive(Debug)]
pub(crate) struct Sessions {
    all: Slab<Entry>,
    age: ConnectionAgeConfig,
    random: RandomState,
    /// Whether all connections must end.
    draining: bool,
}

impl Sessions {
    pub(crate) fn new(age: ConnectionAgeConfig) -> Self {
        Self {
            all: Slab::new(),
            age,
            random: RandomState::new(),
            draining: false,
        }
    }

    /// Takes in a client that has connected at that moment.
    pub(crate) fn insert(
        &mut self,
        session: Rc<Session>,
        listener: usize,
        since: Instant,
    ) -> usize {
        let now = Instant::now();
        let entry = self.all.vacant_entry();
        let key = entry.key();
        let jitter = self.random.hash_one((key, now)) as f64 / u64::MAX as f64;
        let factor = 1.0 + self.age.jitter * (2.0 * jitter - 1.0);
        // A client that connects during a drain was sent by a balancer that has not noticed.
        let leaves = match self.draining {
            true => Some(now),
            false => self.age.max.map(|max| now + max.mul_f64(factor)),
        };
        entry.insert(Entry {
            session,
            listener,
            since,
            leaves,
            activity: 0,
            active: now,
            partial: None,
            over_share: None,
        });
        key
    }

    pub(crate) fn remove(&mut self, key: usize) {
        self.all.try_remove(key);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Sets the age limit of clients that connect from now on.
    pub(crate) fn set_age(&mut self, age: ConnectionAgeConfig) {
        self.age = age;
    }

    /// Every client, with the number of its listener.
    pub(crate) fn summaries(&self) -> Vec<(usize, ClientSummary)> {
        let all = self.all.iter();
        all.map(|(_, one)| (one.listener, one.session.summary()))
            .collect()
    }

    /// Makes all clients leave, one after the other, over that time.
    pub(crate) fn drain(&mut self, time: Duration) {
        self.draining = true;
        let (now, count) = (Instant::now(), self.all.len());
        for ((_, one), nth) in self.all.iter_mut().zip(0_u32..) {
            let part = f64::from(nth) / count as f64;
            one.leaves = Some(now + time.mul_f64(part));
        }
    }

    /// Makes the clients leave whose time has passed.
    pub(crate) fn leave_in_turn(&self) {
        if !self.draining && self.age.max.is_none() {
            return;
        }
        let now = Instant::now();
        for (_, one) in &self.all {
            if one.leaves.is_some_and(|leaves| leaves <= now) {
                one.session.leave();
                one.session.leave_if_quiet();
            }
        }
    }

    /// Ends the connections of clients that are silent or slow.
    pub(crate) fn scan(&mut self, limits: &ClientLimits) {
        let now = Instant::now();
        for (_, one) in &mut self.all {
            let session = &one.session;
            let activity = session.activity();
            if activity != one.activity {
                (one.activity, one.active) = (activity, now);
            }
            let received = session.received();
            // A client that is not read further cannot help it that frames lie there.
            one.partial = match one.partial {
                _ if !session.outbox().has_partial() || session.is_held_back() => None,
                Some((since, then)) if then == received => Some((since, then)),
                _ => Some((now, received)),
            };
            let held = session.account().held();
            one.over_share = match one.over_share {
                _ if !session.account().is_over_share() => None,
                Some((since, then)) if held >= then => Some((since, then)),
                _ => Some((now, held)),
            };
            let is_slow = |since: Instant, limit| now.saturating_duration_since(since) > limit;
            if session.outbox().is_closed() && is_slow(one.active, FAREWELL_MAX) {
                // It must leave, and does not read its last answers.
                end_at(session, Limit::Idle);
            } else if received == 0 && is_slow(one.since, limits.handshake_time) {
                end_at(session, Limit::Handshake);
            } else if one
                .partial
                .is_some_and(|(since, _)| is_slow(since, limits.frame_time))
            {
                end_at(session, Limit::Frame);
            } else if one
                .over_share
                .is_some_and(|(since, _)| is_slow(since, OVER_SHARE_MAX))
            {
                end_at(session, Limit::Memory);
            } else if is_slow(one.active, limits.idle_time) {
                end_at(session, Limit::Idle);
            }
        }
    }

    /// Keeps what the clients make the worker hold below its limit: clients that were not read for
    /// it are woken, and when all together hold too much, those that hold most are ended.
    pub(crate) fn relieve(&self, ledger: &Ledger) {
        if ledger.take_restricted() {
            for (_, one) in &self.all {
                if one.session.account().take_stopped() {
                    one.session.outbox().wake();
                }
            }
        }
        let mut overdraft = ledger.overdraft();
        if overdraft == 0 {
            return;
        }
        let mut by_address: HashMap<AddressKey, usize> = HashMap::new();
        for (_, one) in &self.all {
            *by_address
                .entry(one.session.peer().ip().into())
                .or_default() += one.session.account().held() + CONNECTION;
        }
        let held_there = |session: &Session| {
            let there = by_address.get(&session.peer().ip().into());
            there.copied().unwrap_or_default()
        };
        let greedy_address = ledger.limit() / GREEDY_PART;
        let all = self.all.iter().map(|(_, one)| &one.session);
        let may_go = |it: &&Rc<Session>| {
            let is_greedy = it.account().held() >= GREEDY_MIN || held_there(it) >= greedy_address;
            is_greedy && !it.outbox().has_ended()
        };
        let mut most: Vec<_> = all.filter(may_go).collect();
        // Of the address that holds most, those that hold most.
        most.sort_by_cached_key(|it| Reverse((held_there(it), it.account().held())));
        for session in most {
            if overdraft == 0 {
                return;
            }
            // What it holds is free when its task has noticed.
            overdraft = overdraft.saturating_sub(session.account().held() + CONNECTION);
            end_at(session, Limit::Memory);
        }
    }

    /// Ends all, once the answers that are there are written.
    pub(crate) fn finish_all(&self) {
        for (_, one) in &self.all {
            one.session.finish();
        }
    }
}

/// Ends a client's connection at a limit, and logs it.
fn end_at(session: &Session, limit: Limit) {
    if session.outbox().has_ended() {
        return;
    }
    session.end_at(limit);
    if let Some(not_logged) = ENDED.pass() {
        let client = session.known_as();
        let client = client.as_ref();
        let client_id = client.map(|(id, ..)| shown(id));
        let language = client.map(|(_, language, _)| language);
        let version = client.map(|(.., version)| version);
        info!(peer = %session.peer(), client_id, language, version, limit = limit.name(), not_logged, "client ended at a limit");
    }
}
