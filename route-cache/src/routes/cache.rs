//! The routes of all topics that clients ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use remoting_codec::body::TopicRouteData;
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode};
use tokio::time::Instant;
use tracing::debug;

use super::topic_route::TopicRoute;
use crate::broker::BrokerTable;
use crate::config::RouteConfig;
use crate::error::{NameServerError, RouteError};
use crate::name_server::NameServers;

/// How long a route is answered as it was known after it could not be loaded anew.
const RELOAD_PAUSE: Duration = Duration::from_secs(2);

/// A route that was loaded before some broker came, went or moved is too old, unless it is younger than this: name servers
/// that disagree would have each route loaded whenever it is asked for.
const CHANGE_PAUSE: Duration = Duration::from_secs(1);

/// How long a route that is known, and old, is held back for a newer one.
const STALE_PATIENCE: Duration = Duration::from_millis(200);

/// How long "no such topic" is held back once it is not believed any more.
const NEGATIVE_PATIENCE: Duration = Duration::from_millis(1500);

/// Longest name of a topic (`TopicValidator` allows 127, retry and dead letter topics are longer).
const TOPIC_MAX: usize = 255;

/// Routes by topic, for all workers.
///
/// A route is loaded once, however many ask for it at the same time. It is loaded anew in the
/// background before it is too old, so that nobody waits for a name server whose topics are in use;
/// and it is kept for as long as no name server answers, for a stale route still leads to brokers
/// and none leads nowhere.
#[derive(Clone, Debug)]
pub struct RouteCache {
    topics: Cache<Arc<str>, Arc<Topic>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: RouteConfig,
    brokers: Arc<BrokerTable>,
    name_servers: NameServers,
    stats: Stats,
}

/// How the cache does.
#[derive(Debug, Default)]
struct Stats {
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
    errors: AtomicU64,
}

/// How the cache has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouteStats {
    /// Topics that are kept, those that do not exist among them.
    pub topics: u64,
    /// How old the oldest is.
    pub oldest: Duration,
    /// Answered from memory.
    pub hits: u64,
    /// A name server was asked first.
    pub misses: u64,
    /// Answered although too old, for no name server has answered in time.
    pub stale: u64,
    /// Loads that have failed.
    pub errors: u64,
}

#[derive(Debug)]
struct Topic {
    /// The route, or the name server's words why there is none.
    route: Result<Arc<TopicRoute>, Arc<str>>,
    loaded: Instant,
    refreshing: AtomicBool,
    /// Held while a successor is loaded; when that failed last.
    reloading: tokio::sync::Mutex<Option<Instant>>,
}

impl Topic {
    fn new(route: Result<Arc<TopicRoute>, Arc<str>>) -> Arc<Self> {
        Arc::new(Self {
            route,
            loaded: Instant::now(),
            refreshing: AtomicBool::new(false),
            reloading: tokio::sync::Mutex::default(),
        })
    }

    fn route(&self) -> Result<Arc<TopicRoute>, RouteError> {
        self.route.clone().map_err(RouteError::NoSuchTopic)
    }
}

impl RouteCache {
    /// An empty cache, filled from these name servers; brokers that routes name go to `brokers`.
    #[must_use]
    pub fn new(config: RouteConfig, brokers: Arc<BrokerTable>, name_servers: NameServers) -> Self {
        Self {
            topics: Cache::new(config.capacity),
            shared: Arc::new(Shared {
                config,
                brokers,
                name_servers,
                stats: Stats::default(),
            }),
        }
    }

    /// The topic's route.
    ///
    /// # Errors
    /// When there is no such topic, or no name server answers and none has for this topic.
    pub async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, RouteError> {
        if topic.len() > TOPIC_MAX {
            return Err(RouteError::NoSuchTopic(
                "no topic has so long a name".into(),
            ));
        }
        let stats = &self.shared.stats;
        let Some(known) = self.topics.get(topic).await else {
            stats.misses.fetch_add(1, Ordering::Relaxed);
            let topic: Arc<str> = topic.into();
            let load = self.shared.load(&topic, None);
            let loaded = self.topics.try_get_with(topic.clone(), load).await;
            return loaded.map_err(|error| (*error).clone())?.route();
        };
        let config = &self.shared.config;
        let age = known.loaded.elapsed();
        let expired = match known.route {
            Ok(_) => {
                age >= config.expire_after
                    || (age >= CHANGE_PAUSE && self.shared.brokers.has_changed_since(known.loaded))
            }
            Err(_) => age >= config.negative_ttl,
        };
        if (expired || age >= config.refresh_after)
            && !known.refreshing.swap(true, Ordering::Relaxed)
        {
            // In a task of its own: whoever asked may not be able to wait for it.
            let (cache, topic, old) = (self.clone(), topic.to_owned(), known.clone());
            let reload = tokio::spawn(async move {
                let new = cache.reload(&topic, &old).await;
                old.refreshing.store(false, Ordering::Relaxed);
                new
            });
            if expired {
                let patience = match known.route {
                    Ok(_) => STALE_PATIENCE,
                    Err(_) => NEGATIVE_PATIENCE,
                };
                if let Ok(Ok(new)) = tokio::time::timeout(patience, reload).await {
                    stats.misses.fetch_add(1, Ordering::Relaxed);
                    return new.route();
                }
            }
        }
        let counter = if expired { &stats.stale } else { &stats.hits };
        counter.fetch_add(1, Ordering::Relaxed);
        known.route()
    }

    /// How the cache has done.
    #[must_use]
    pub fn stats(&self) -> RouteStats {
        let Stats {
            hits,
            misses,
            stale,
            errors,
        } = &self.shared.stats;
        let ages = self.topics.iter().map(|(_, topic)| topic.loaded.elapsed());
        RouteStats {
            topics: self.topics.entry_count(),
            oldest: ages.max().unwrap_or_default(),
            hits: hits.load(Ordering::Relaxed),
            misses: misses.load(Ordering::Relaxed),
            stale: stale.load(Ordering::Relaxed),
            errors: errors.load(Ordering::Relaxed),
        }
    }

    /// The topic loaded anew; as it was known, if no name server answers.
    async fn reload(&self, topic: &str, known: &Arc<Topic>) -> Arc<Topic> {
        let asked = Instant::now();
        let mut failed = known.reloading.lock().await;
        // Whoever waited for an attempt that failed does not make another.
        if failed.is_some_and(|failed| failed + RELOAD_PAUSE > asked) {
            return known.clone();
        }
        if let Some(newer) = self.topics.get(topic).await
            && !Arc::ptr_eq(&newer, known)
        {
            return newer;
        }
        match self.shared.load(topic, Some(known)).await {
            Ok(loaded) => {
                self.topics.insert(topic.into(), loaded.clone()).await;
                loaded
            }
            Err(error) => {
                debug!(topic, %error, "route kept");
                *failed = Some(Instant::now());
                known.clone()
            }
        }
    }
}

impl Shared {
    async fn load(
        &self,
        topic: &str,
        known: Option<&Topic>,
    ) -> Result<Arc<Topic>, NameServerError> {
        let request = RemotingCommand::request(RequestCode::GET_ROUTEINFO_BY_TOPIC)
            .with_field("topic", topic.to_owned())
            .with_field("acceptStandardJsonOnly", "true");
        let answer = self.name_servers.call(&request).await;
        let answer = answer.inspect_err(|_| {
            self.stats.errors.fetch_add(1, Ordering::Relaxed);
        })?;
        let remark = answer.remark.as_deref().unwrap_or_default();
        let known = known.and_then(|known| known.route.as_ref().ok());
        // What a name server that was started just now has not been told of yet is not gone.
        let doubted = known.filter(|_| !self.name_servers.are_settled());
        let unsettled = || NameServerError::Unusable("it may not know everything yet".into());
        if answer.code == ResponseCode::TOPIC_NOT_EXIST.0 {
            if doubted.is_some() {
                return Err(unsettled());
            }
            return Ok(Topic::new(Err(remark.into())));
        }
        if answer.code != ResponseCode::SUCCESS.0 {
            return Err(NameServerError::Unusable(remark.into()));
        }
        let data = TopicRouteData::decode(&answer.body)
            .map_err(|error| NameServerError::Unusable(error.to_string().into()))?;
        self.brokers.merge(&data.broker_datas);
        let route = TopicRoute::new(data);
        if doubted.is_some_and(|known| !route.has_brokers_of(known)) {
            return Err(unsettled());
        }
        // The same route stays the same, with what it has encoded.
        let same = known.filter(|known| known.data() == route.data());
        Ok(Topic::new(Ok(same
            .cloned()
            .unwrap_or_else(|| Arc::new(route)))))
    }
}
