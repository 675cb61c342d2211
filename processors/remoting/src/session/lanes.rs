//! The lanes of a client: to which brokers it has them, and which it needs.

use std::collections::HashSet;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use route_cache::{Broker, Connection, Lane};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::Session;

/// Most topics of one heartbeat whose routes are looked up at the same time.
const LOOK_UPS_MAX: usize = 16;

/// After so many topics, others get their turn.
const TOPICS_PER_TURN: usize = 64;

/// So many topics of a group are looked at, the same ones for all members: the first by name.
const TOPICS_MAX: usize = 64;

/// The brokers that have these topics, as far as can be told without keeping the client waiting.
pub(crate) async fn brokers_of(
    session: &Session,
    topics: impl Iterator<Item = &str>,
) -> Vec<Rc<Broker>> {
    if let Some(name) = &session.broker {
        let broker = session.upstream.broker(name).await;
        return broker.into_iter().collect();
    }
    let loading = topics.map(|topic| session.route(topic));
    let mut loading = pin!(stream::iter(loading).buffer_unordered(LOOK_UPS_MAX));
    let deadline = Instant::now() + session.settings.heartbeat_time / 2;
    let mut brokers: Vec<Rc<Broker>> = Vec::new();
    let mut seen = HashSet::new();
    let mut turn = 0;
    while let Ok(Some(loaded)) = timeout_at(deadline, loading.next()).await {
        turn += 1;
        if turn % TOPICS_PER_TURN == 0 {
            yield_now().await;
        }
        // A topic may not exist yet: that of a group's retries begins with the first heartbeat.
        let Ok(route) = loaded else {
            continue;
        };
        for broker in route.brokers() {
            let known = session.upstream.known_broker(&broker.broker_name);
            brokers.extend(known.filter(|new| seen.insert(Rc::as_ptr(new))));
        }
    }
    brokers
}

/// Opens the lanes that are missing: to these brokers, their replicas too, for consumers may read there
/// and are refused where they are not known; and to the masters that the client has sent to.
pub(crate) fn open_lanes(session: &Rc<Session>, brokers: &[Rc<Broker>]) {
    // A lane to where no broker is any more is none.
    session.membership.borrow_mut().retain_lanes(|lane| {
        let broker = session.upstream.known_broker(lane.broker());
        broker.is_some_and(|broker| broker.addresses().all().any(|at| at == lane.address()))
    });
    let sent_to = session.membership.borrow_mut().take_sent_to();
    for broker in brokers {
        for address in broker.addresses().all() {
            lane_to(session, broker, address);
        }
    }
    for broker in &sent_to {
        if let Some(address) = broker.addresses().master() {
            lane_to(session, broker, address);
        }
    }
}

/// The lane to that address; opened if there is none. `None` when the client has gone, or has not
/// said who it is.
pub(crate) fn lane_to(
    session: &Rc<Session>,
    broker: &Broker,
    address: &Arc<str>,
) -> Option<Rc<Lane>> {
    let mut membership = session.membership.borrow_mut();
    if let Some(lane) = membership.lane(broker.name(), address) {
        return Some(lane.clone());
    }
    let registration = membership.registration()?;
    let lane = session.upstream.open_lane(
        broker.name().clone(),
        address.clone(),
        registration,
        Rc::downgrade(session) as _,
    );
    membership.add_lane(lane.clone());
    Some(lane)
}

/// Opens lanes to every master, or to that of the listener's broker: the client has others there for
/// the other brokers.
pub(crate) async fn open_to_masters(session: &Rc<Session>) {
    if let Some(name) = &session.broker {
        let broker = session.upstream.broker(name).await.ok();
        let master = broker
            .as_ref()
            .and_then(|broker| broker.addresses().master().cloned());
        if let (Some(broker), Some(address)) = (broker, master) {
            lane_to(session, &broker, &address);
        }
        return;
    }
    for broker in session.upstream.all_brokers().await {
        let master = broker.addresses().master().cloned();
        if let Some(address) = master {
            lane_to(session, &broker, &address);
        }
    }
}

/// The first lane on which the client is known, of those to brokers that have one of the topics.
pub(crate) async fn lane_of_topics<'a>(
    session: &Session,
    topics: impl Iterator<Item = &'a str>,
) -> Option<Rc<Connection>> {
    let brokers = brokers_of(session, topics.take(TOPICS_MAX)).await;
    let membership = session.membership.borrow();
    let mut lanes = membership.lanes().iter();
    lanes.find_map(|lane| {
        let theirs = brokers.iter().any(|broker| broker.name() == lane.broker());
        lane.registered().filter(|_| theirs)
    })
}
