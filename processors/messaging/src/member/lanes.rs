//! The lanes of a client: those that it has, and those that it needs.

use std::collections::HashSet;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use route_cache::{Broker, Connection, Lane, Verdict};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, timeout_at};

use super::{Declared, Member, summary};
use crate::error::MessagingError;

/// The most topics of one heartbeat whose routes are looked up at the same time.
const LOOK_UPS_MAX: usize = 16;

/// The number of topics after which other clients get a turn.
const TOPICS_PER_TURN: usize = 64;

/// The number of topics of a group that are considered, the same ones for all members: the first by
/// name.
const TOPICS_MAX: usize = 64;

/// Of a heartbeat that is longer, in bytes, one copy is made per turn.
const LONG: usize = 64 * 1024;

impl Member {
    /// The brokers that have these topics, as far as they are found within the time that the client
    /// can wait.
    pub async fn brokers_of(&self, topics: impl Iterator<Item = &str>) -> Vec<Rc<Broker>> {
        let (caller, upstream) = (self.caller(), self.caller().upstream());
        if let Some(name) = caller.broker() {
            return upstream.broker(name).await.into_iter().collect();
        }
        let loading = topics.map(|topic| caller.route(topic));
        let mut loading = pin!(stream::iter(loading).buffer_unordered(LOOK_UPS_MAX));
        let deadline = Instant::now() + caller.policy().heartbeat_time / 2;
        let mut brokers: Vec<Rc<Broker>> = Vec::new();
        let mut seen = HashSet::new();
        let mut turn = 0;
        while let Ok(Some(loaded)) = timeout_at(deadline, loading.next()).await {
            turn += 1;
            if turn % TOPICS_PER_TURN == 0 {
                yield_now().await;
            }
            // A topic may not exist yet: a group's retry topic is created at the first heartbeat.
            let Ok(route) = loaded else {
                continue;
            };
            for broker in route.brokers() {
                let known = upstream.known_broker(&broker.broker_name);
                brokers.extend(known.filter(|new| seen.insert(Rc::as_ptr(new))));
            }
        }
        brokers
    }

    /// Opens the missing lanes: to these brokers, their slaves included, because consumers may read
    /// there and are refused where they are not registered; and to the masters that the client has
    /// sent to.
    pub fn open_lanes(&self, brokers: &[Rc<Broker>]) {
        let upstream = self.caller().upstream();
        // A lane to an address that no broker has any more is removed.
        self.membership.borrow_mut().retain_lanes(|lane| {
            let broker = upstream.known_broker(lane.broker());
            broker.is_some_and(|broker| broker.addresses().all().any(|at| at == lane.address()))
        });
        let sent_to = self.membership.borrow_mut().take_sent_to();
        for broker in brokers {
            for address in broker.addresses().all() {
                self.lane_to(broker, address);
            }
        }
        for broker in &sent_to {
            self.lane_to_master(broker);
        }
    }

    /// Opens lanes to every master, or only to that of the listener's broker: for the other
    /// brokers, the client has connections to other listeners.
    pub async fn open_to_masters(&self) {
        let upstream = self.caller().upstream();
        let brokers = match self.caller().broker() {
            Some(name) => upstream.broker(name).await.into_iter().collect(),
            None => upstream.all_brokers().await,
        };
        for broker in brokers {
            self.lane_to_master(&broker);
        }
    }

    /// The lane to the master of that broker; it is opened if there is none.
    pub(super) fn lane_to_master(&self, broker: &Broker) -> Option<Rc<Lane>> {
        let address = broker.addresses().master().cloned();
        self.lane_to(broker, &address?)
    }

    /// The lane to that address; it is opened if there is none. `None` if the client has left, or
    /// has not declared itself.
    pub(super) fn lane_to(&self, broker: &Broker, address: &Arc<str>) -> Option<Rc<Lane>> {
        let mut membership = self.membership.borrow_mut();
        if let Some(lane) = membership.lane(broker.name(), address) {
            return Some(lane.clone());
        }
        let registration = membership.registration()?;
        let lane = self.caller().upstream().open_lane(
            broker.name().clone(),
            address.clone(),
            registration,
            self.inbox.clone(),
        );
        membership.add_lane(lane.clone());
        Some(lane)
    }

    /// The lanes of the client at this moment, ordered by broker.
    pub(super) fn lanes(&self) -> Vec<Rc<Lane>> {
        self.membership.borrow().lanes().to_vec()
    }

    /// Whether the broker at that address knows the client.
    #[must_use]
    pub fn is_registered(&self, broker: &Broker, address: &Arc<str>) -> bool {
        let membership = self.membership.borrow();
        let lane = membership.lane(broker.name(), address);
        lane.is_some_and(|lane| lane.registered().is_some())
    }

    /// Whether any broker knows the client.
    #[must_use]
    pub fn has_registered(&self) -> bool {
        let lanes = self.lanes();
        lanes.iter().any(|lane| lane.registered().is_some())
    }

    /// The first lane on which the client is registered, among those to brokers that have one of
    /// the topics.
    pub async fn lane_of_topics<'a>(
        &self,
        topics: impl Iterator<Item = &'a str>,
    ) -> Option<Rc<Connection>> {
        let brokers = self.brokers_of(topics.take(TOPICS_MAX)).await;
        let membership = self.membership.borrow();
        let mut lanes = membership.lanes().iter();
        lanes.find_map(|lane| {
            let theirs = brokers.iter().any(|broker| broker.name() == lane.broker());
            lane.registered().filter(|_| theirs)
        })
    }

    /// Sends a declaration on all lanes, and returns the brokers' answers in one ([`Verdict`]);
    /// `None` if no broker has to know the client yet. A broker that is unreachable now gets the
    /// declaration from its lane later.
    ///
    /// # Errors
    /// If no broker answers.
    pub async fn announce(&self, declared: &Declared) -> Result<Option<Verdict>, MessagingError> {
        let (key, time) = (declared.key, self.caller().policy().heartbeat_time);
        let is_long = self.membership.borrow().length(key) > LONG;
        let lanes = self.lanes();
        let telling = lanes.iter().enumerate().map(|(turn, lane)| async move {
            if is_long {
                // Each lane copies the declaration.
                for _ in 0..turn {
                    yield_now().await;
                }
            }
            lane.heartbeat(key, time).await
        });
        let verdict = summary(join_all(telling).await)?;
        if verdict.as_ref().is_none_or(Verdict::is_success) {
            self.membership.borrow_mut().set_announced(key);
        }
        Ok(verdict)
    }

    /// Registers the client at the brokers of these topics, by its latest declaration, or keeps it
    /// registered there. A failure is logged: the next call tries again.
    pub async fn keep_registered(&self, topics: impl Iterator<Item = &str>) {
        if !self.is_known() {
            return;
        }
        let brokers = self.brokers_of(topics).await;
        self.open_lanes(&brokers);
        let Some(declared) = self.latest() else {
            return;
        };
        let client_id = self.client_id();
        match self.announce(&declared).await {
            Ok(Some(verdict)) if !verdict.is_success() => {
                let (code, remark) = (verdict.code, &verdict.remark);
                tracing::debug!(client_id, code, %remark, "client not registered");
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(client_id, %error, "client not registered"),
        }
    }

    /// Sends all brokers the unregistrations of the client's groups, and waits for their answers.
    pub async fn withdraw(&self) {
        let mut telling = JoinSet::new();
        for lane in self.lanes() {
            let (upstream, time) = (
                self.caller().upstream().clone(),
                self.caller().policy().heartbeat_time,
            );
            telling.spawn_local(async move {
                // Offsets that were committed earlier must reach the broker first.
                if let Some(broker) = upstream.known_broker(lane.broker()) {
                    broker.requests_flushed().await;
                }
                lane.update(time).await
            });
        }
        telling.join_all().await;
    }
}
