//! The route cache: the routes of all topics that clients use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use remoting_codec::body::TopicRouteData;
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode};
use tokio::time::Instant;
use tracing::debug;

use super::flights::{Duty, Flight, Flights, Outcome};
use super::topic::Topic;
use super::topic_route::TopicRoute;
use crate::broker::BrokerTable;
use crate::config::RouteConfig;
use crate::error::{NameServerError, RouteError};
use crate::name_server::NameServers;

/// A route that was loaded before some broker was added, removed or moved is too old, unless it is
/// younger than this. Without that pause, name servers that disagree would cause a load for each
/// request of a route.
const CHANGE_PAUSE: Duration = Duration::from_secs(1);

/// How long the answer with a known, old route waits for a newer one.
const STALE_PATIENCE: Duration = Duration::from_millis(200);

/// The same for a topic that was changed through this proxy since the route was loaded.
const CHANGED_PATIENCE: Duration = Duration::from_millis(1500);

/// Longest name of a topic (`TopicValidator` allows 127, retry and dead letter topics are longer).
const TOPIC_MAX: usize = 255;

/// Most topics that are remembered as absent, if `negative_ttl` is set.
const MISSING_MAX: u64 = 1024;

/// Routes by topic, for all workers.
///
/// A route is loaded once, however many clients ask for it at the same time. It is loaded again in
/// the background before it is too old, so that clients do not wait for a name server while a topic
/// is in use. It is kept while no name server answers, because a stale route is better than none.
///
/// By default, the absence of a topic is not cached: each request for its route asks a name server.
/// Such look-ups are bounded and take turns.
#[derive(Clone, Debug)]
pub struct RouteCache {
    topics: Cache<Arc<str>, Arc<Topic>>,
    /// Topics that do not exist, with the name server's remark and the time of the request.
    missing: Cache<Arc<str>, (Arc<str>, Instant)>,
    flights: Arc<Flights>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: RouteConfig,
    brokers: Arc<BrokerTable>,
    name_servers: NameServers,
    stats: Stats,
    /// Routes loaded before this time may have been changed through this proxy.
    changed: Mutex<Option<Instant>>,
}

/// The counters of the cache.
#[derive(Debug, Default)]
struct Stats {
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
    errors: AtomicU64,
}

/// The size and age of the cache, and how requests for routes were served since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouteStats {
    /// The number of cached routes.
    pub topics: u64,
    /// The age of the route that was loaded longest ago; zero if none is cached.
    pub oldest: Duration,
    /// Requests answered from memory.
    pub hits: u64,
    /// Requests for which a name server was asked first.
    pub misses: u64,
    /// Requests answered with a stale route, because no name server answered in time.
    pub stale: u64,
    /// Loads that have failed.
    pub errors: u64,
}

/// How a known route may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Immediately.
    Fresh,
    /// Immediately; it is loaded again in the background.
    Aging,
    /// If no newer one is loaded within [`STALE_PATIENCE`].
    Expired,
    /// If no name server answers: the topic was changed through this proxy.
    Changed,
}

impl RouteCache {
    /// An empty cache, filled from these name servers; the brokers of its routes are added to
    /// `brokers`.
    #[must_use]
    pub fn new(config: RouteConfig, brokers: Arc<BrokerTable>, name_servers: NameServers) -> Self {
        Self {
            topics: Cache::new(config.capacity),
            missing: Cache::new(MISSING_MAX),
            flights: Arc::new(Flights::new()),
            shared: Arc::new(Shared {
                config,
                brokers,
                name_servers,
                stats: Stats::default(),
                changed: Mutex::default(),
            }),
        }
    }

    /// The topic's route if it may be used immediately; it may be loaded again in the background.
    /// Must be called on a runtime.
    #[must_use]
    pub fn cached(&self, topic: &str) -> Option<Arc<TopicRoute>> {
        let known = self.topics.get(topic)?;
        match self.state(&known) {
            State::Fresh => {}
            State::Aging => self.reload_later(topic, &known),
            State::Expired | State::Changed => return None,
        }
        self.shared.stats.hits.fetch_add(1, Ordering::Relaxed);
        Some(known.route.clone())
    }

    /// The topic's route.
    ///
    /// # Errors
    /// When there is no such topic, when no name server answers and no route is cached, or when too
    /// many look-ups wait.
    pub async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, RouteError> {
        let stats = &self.shared.stats;
        let Some(known) = self.topics.get(topic) else {
            return self.look_up(topic).await;
        };
        let patience = match self.state(&known) {
            State::Fresh => Duration::ZERO,
            State::Aging => {
                self.reload_later(topic, &known);
                Duration::ZERO
            }
            State::Expired => STALE_PATIENCE,
            State::Changed => CHANGED_PATIENCE,
        };
        if patience.is_zero() {
            stats.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(known.route.clone());
        }
        if !known.has_failed_lately()
            && let Ok(flight) = self.fly(topic, Some(&known))
            && let Ok(outcome) = tokio::time::timeout(patience, flight.outcome()).await
        {
            match outcome {
                Err(RouteError::Unavailable(_)) => {}
                outcome => {
                    stats.misses.fetch_add(1, Ordering::Relaxed);
                    return outcome.map(|topic| topic.route.clone());
                }
            }
        }
        stats.stale.fetch_add(1, Ordering::Relaxed);
        Ok(known.route.clone())
    }

    /// The topic was changed through this proxy: its route is loaded again before it is used.
    pub fn changed(&self, topic: &str) {
        let now = Instant::now();
        self.flights.outdate(topic);
        self.missing.invalidate(topic);
        if let Some(known) = self.topics.get(topic) {
            *known.changed.lock() = Some(now);
        }
    }

    /// The same for all topics: a broker was changed.
    pub fn all_changed(&self) {
        *self.shared.changed.lock() = Some(Instant::now());
        self.flights.outdate_all();
        self.missing.invalidate_all();
    }

    /// The statistics at this moment, for metrics.
    #[must_use]
    pub fn stats(&self) -> RouteStats {
        let Stats {
            hits,
            misses,
            stale,
            errors,
        } = &self.shared.stats;
        let ages = self.topics.iter().map(|(_, topic)| topic.asked.elapsed());
        RouteStats {
            topics: self.topics.entry_count(),
            oldest: ages.max().unwrap_or_default(),
            hits: hits.load(Ordering::Relaxed),
            misses: misses.load(Ordering::Relaxed),
            stale: stale.load(Ordering::Relaxed),
            errors: errors.load(Ordering::Relaxed),
        }
    }

    fn state(&self, known: &Topic) -> State {
        let config = &self.shared.config;
        let is_before = |moment: Option<Instant>| moment.is_some_and(|it| known.asked <= it);
        let age = known.asked.elapsed();
        if is_before(*known.changed.lock()) || is_before(*self.shared.changed.lock()) {
            State::Changed
        } else if age >= config.expire_after
            || (age >= CHANGE_PAUSE && self.shared.brokers.has_changed_since(known.asked))
        {
            State::Expired
        } else if age >= config.refresh_after {
            State::Aging
        } else {
            State::Fresh
        }
    }

    /// Looks up a topic whose route is not cached.
    async fn look_up(&self, topic: &str) -> Result<Arc<TopicRoute>, RouteError> {
        if topic.len() > TOPIC_MAX {
            return Err(RouteError::NoSuchTopic(
                "the name of a topic has at most 255 bytes".into(),
            ));
        }
        let stats = &self.shared.stats;
        if let Some((remark, asked)) = self.missing.get(topic)
            && asked.elapsed() < self.shared.config.negative_ttl
        {
            stats.hits.fetch_add(1, Ordering::Relaxed);
            return Err(RouteError::NoSuchTopic(remark));
        }
        stats.misses.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let flight = self.fly(topic, None)?;
        let outcome = match flight.outcome().await {
            // The topic may have been created after the name server's answer to the earlier
            // look-up.
            Err(RouteError::NoSuchTopic(_)) if flight.begun < begun => {
                self.fly(topic, None)?.outcome().await
            }
            outcome => outcome,
        };
        outcome.map(|topic| topic.route.clone())
    }

    fn reload_later(&self, topic: &str, known: &Arc<Topic>) {
        if !known.has_failed_lately() {
            // If too many look-ups wait, the route is loaded later.
            let _ = self.fly(topic, Some(known));
        }
    }

    /// The look-up of that topic, started if none is in progress. It has a task of its own, because
    /// the caller may not be able to wait for it.
    fn fly(&self, topic: &str, known: Option<&Arc<Topic>>) -> Result<Arc<Flight>, RouteError> {
        let (flight, duty) = self.flights.board(topic)?;
        if let Some(duty) = duty {
            let (cache, known) = (self.clone(), known.cloned());
            let topic: Arc<str> = topic.into();
            tokio::spawn(async move { cache.load(topic, known, duty).await });
        }
        Ok(flight)
    }

    /// Makes a look-up, and caches the result.
    async fn load(&self, topic: Arc<str>, known: Option<Arc<Topic>>, duty: Duty) {
        let turn = match known {
            // Known topics are limited in number, and requests for them do not wait.
            Some(_) => None,
            None => self.flights.turns().acquire().await.ok(),
        };
        let asked = Instant::now();
        let loaded = self.shared.load(&topic, known.as_deref()).await;
        drop(turn);
        if duty.flight().is_outdated() && known.is_none() {
            duty.end(loaded);
            return;
        }
        match &loaded {
            Ok(loaded) => {
                let changed = known.as_ref().and_then(|known| *known.changed.lock());
                *loaded.changed.lock() = changed.filter(|changed| asked <= *changed);
                self.topics.insert(topic, loaded.clone());
            }
            Err(RouteError::NoSuchTopic(remark)) => {
                self.topics.invalidate(&topic);
                if !self.shared.config.negative_ttl.is_zero() {
                    self.missing.insert(topic, (remark.clone(), asked));
                }
            }
            Err(error) => {
                if let Some(known) = known {
                    debug!(%topic, %error, "cannot refresh the route: the known one is kept");
                    *known.failed.lock() = Some(Instant::now());
                }
            }
        }
        duty.end(loaded);
    }
}

impl Shared {
    async fn load(&self, topic: &str, known: Option<&Topic>) -> Outcome {
        let asked = Instant::now();
        let request = RemotingCommand::request(RequestCode::GET_ROUTEINFO_BY_TOPIC)
            .with_field("topic", topic.to_owned())
            .with_field("acceptStandardJsonOnly", "true");
        let answer = self.name_servers.call(&request).await;
        let answer = answer.inspect_err(|_| {
            self.stats.errors.fetch_add(1, Ordering::Relaxed);
        })?;
        let remark = answer.remark.as_deref().unwrap_or_default();
        let known = known.map(|known| &known.route);
        // A topic that is missing at a name server that has just started may still exist.
        let doubted = known.filter(|_| !self.name_servers.are_settled());
        let unsettled = || {
            NameServerError::Unusable(
                "the name server may have just started, and lack topics".into(),
            )
        };
        if answer.response_code() == ResponseCode::TOPIC_NOT_EXIST {
            if doubted.is_some() {
                return Err(unsettled().into());
            }
            return Err(RouteError::NoSuchTopic(remark.into()));
        }
        if !answer.is_success() {
            return Err(NameServerError::Unusable(remark.into()).into());
        }
        let data = TopicRouteData::decode(&answer.body)
            .map_err(|error| NameServerError::Unusable(error.to_string().into()))?;
        self.brokers.merge(&data.broker_datas);
        let route = TopicRoute::new(data);
        if doubted.is_some_and(|known| !route.has_brokers_of(known)) {
            return Err(unsettled().into());
        }
        // An unchanged route is kept, together with its encoded forms.
        let same = known.filter(|known| known.data() == route.data());
        Ok(Arc::new(Topic {
            route: same.cloned().unwrap_or_else(|| Arc::new(route)),
            asked,
            changed: Mutex::default(),
            failed: Mutex::default(),
        }))
    }
}
