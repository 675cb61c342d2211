//! The clients of a worker: finding those that are silent, slow or old, and closing their
//! connections.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use remoting::ClientSummary;
use remoting::metrics::{Limit, RequestMetrics};
use remoting_transport::{CONNECTION, Ledger};
use slab::Slab;
use tokio::time::Instant;
use tracing::info;

use crate::client::Client;
use crate::config::{ClientLimits, ConnectionAgeConfig};
use route_cache::AddressKey;
use route_cache::rate::LogThrottle;

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
    client: Client,
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
    metrics: Arc<RequestMetrics>,
}

impl Sessions {
    pub(crate) fn new(age: ConnectionAgeConfig, metrics: Arc<RequestMetrics>) -> Self {
        Self {
            all: Slab::new(),
            age,
            random: RandomState::new(),
            draining: false,
            metrics,
        }
    }

    /// Takes in a client that has connected at that moment.
    pub(crate) fn insert(&mut self, client: Client, listener: usize, since: Instant) -> usize {
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
            client,
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

    /// The client of that key speaks another protocol than it seemed to.
    pub(crate) fn replace(&mut self, key: usize, client: Client) {
        if let Some(entry) = self.all.get_mut(key) {
            entry.client = client;
            (entry.activity, entry.partial, entry.over_share) = (0, None, None);
        }
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
        all.flat_map(|(_, one)| {
            let summaries = one.client.summaries().into_iter();
            summaries.map(|summary| (one.listener, summary))
        })
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
                one.client.leave();
            }
        }
    }

    /// Ends the connections of clients that are silent or slow.
    pub(crate) fn scan(&mut self, limits: &ClientLimits) {
        let now = Instant::now();
        let metrics = self.metrics.clone();
        for (_, one) in &mut self.all {
            let client = &one.client;
            let activity = client.activity();
            if activity != one.activity {
                (one.activity, one.active) = (activity, now);
            }
            let received = client.received();
            // A client that is not read further cannot help it that frames lie there.
            one.partial = match one.partial {
                _ if !client.has_partial() => None,
                Some((since, then)) if then == received => Some((since, then)),
                _ => Some((now, received)),
            };
            let held = client.account().held();
            one.over_share = match one.over_share {
                _ if !client.account().is_over_share() => None,
                Some((since, then)) if held >= then => Some((since, then)),
                _ => Some((now, held)),
            };
            let partial = one.partial.map(|(since, _)| since);
            let stuck = partial.or_else(|| client.blocked());
            let is_slow = |since: Instant, limit| now.saturating_duration_since(since) > limit;
            if client.is_ending() && is_slow(one.active, FAREWELL_MAX) {
                // It must leave, and does not read its last answers.
                end_at(client, Limit::Idle, &metrics);
            } else if received == 0 && is_slow(one.since, limits.handshake_time) {
                end_at(client, Limit::Handshake, &metrics);
            } else if stuck.is_some_and(|since| is_slow(since, limits.frame_time)) {
                end_at(client, Limit::Frame, &metrics);
            } else if one
                .over_share
                .is_some_and(|(since, _)| is_slow(since, OVER_SHARE_MAX))
            {
                end_at(client, Limit::Memory, &metrics);
            } else if is_slow(one.active, limits.idle_time) {
                end_at(client, Limit::Idle, &metrics);
            }
        }
    }

    /// Keeps what the clients make the worker hold below its limit: clients that were not read for
    /// it are woken, and when all together hold too much, those that hold most are ended.
    pub(crate) fn relieve(&self, ledger: &Ledger) {
        if ledger.take_restricted() {
            for (_, one) in &self.all {
                if one.client.account().take_stopped() {
                    one.client.wake();
                }
            }
        }
        let mut overdraft = ledger.overdraft();
        if overdraft == 0 {
            return;
        }
        let mut by_address: HashMap<AddressKey, usize> = HashMap::new();
        for (_, one) in &self.all {
            *by_address.entry(one.client.peer().ip().into()).or_default() +=
                one.client.account().held() + CONNECTION;
        }
        let held_there = |client: &Client| {
            let there = by_address.get(&client.peer().ip().into());
            there.copied().unwrap_or_default()
        };
        let greedy_address = ledger.limit() / GREEDY_PART;
        let all = self.all.iter().map(|(_, one)| &one.client);
        let may_go = |it: &&Client| {
            let is_greedy = it.account().held() >= GREEDY_MIN || held_there(it) >= greedy_address;
            is_greedy && !it.has_ended()
        };
        let mut most: Vec<_> = all.filter(may_go).collect();
        // Of the address that holds most, those that hold most.
        most.sort_by_cached_key(|it| Reverse((held_there(it), it.account().held())));
        for client in most {
            if overdraft == 0 {
                return;
            }
            // What it holds is free when its task has noticed.
            overdraft = overdraft.saturating_sub(client.account().held() + CONNECTION);
            end_at(client, Limit::Memory, &self.metrics);
        }
    }

    /// Ends all, once the answers that are there are written.
    pub(crate) fn finish_all(&self) {
        for (_, one) in &self.all {
            one.client.finish();
        }
    }
}

/// Ends a client's connection at a limit, and logs it.
fn end_at(client: &Client, limit: Limit, metrics: &RequestMetrics) {
    if client.has_ended() {
        return;
    }
    let known_as = client.known_as();
    client.end_at(limit, metrics);
    if let Some(not_logged) = ENDED.pass() {
        let known_as = known_as.as_ref();
        let client_id = known_as.map(|known| known.client_id.as_str());
        let language = known_as.map(|known| known.language);
        let version = known_as.map(|known| known.version.as_str());
        info!(peer = %client.peer(), client_id, language, version, limit = limit.name(), not_logged, "client ended at a limit");
    }
}
