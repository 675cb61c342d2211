//! A worker's server, and clients' connections.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use messaging::check::Limits;
use messaging::{ConfigCache, Policy, Pollers, Requester};
use route_cache::Upstream;

use crate::metrics::HttpMetrics;

/// The settings of connections, beside those that all connections of HTTP have.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most bytes of a request's body. Several messages of 4 MiB fit, which brokers take at most
    /// unless they are configured otherwise (`maxMessageSize`).
    pub body_limit: usize,
    /// The greatest sizes and times that requests may ask for.
    pub limits: Limits,
    /// The origins of web pages that may send requests; `*` for all.
    pub cors: Arc<[String]>,
    /// A request that took longer is logged, unless it waits by its nature; zero disables the log.
    pub slow_threshold: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_limit: 16 << 20,
            limits: Limits::default(),
            cors: Arc::default(),
            slow_threshold: Duration::from_secs(1),
        }
    }
}

/// What all connections of a worker share.
#[derive(Debug)]
pub struct Server {
    pub(crate) configs: Rc<ConfigCache>,
    pub(crate) metrics: Arc<HttpMetrics>,
    /// Members at brokers for groups that are polled, and for topics whose transactions are.
    pub(crate) pollers: Rc<Pollers>,
    /// The producer that requests are sent by.
    pub(crate) requester: Rc<Requester>,
    settings: RefCell<Rc<Settings>>,
}

impl Server {
    /// The server of one worker, with its connections to brokers and the configurations that it has
    /// looked up. Brokers know its members as clients of that host.
    #[must_use]
    pub fn new(
        upstream: &Rc<Upstream>,
        policy: &Arc<Policy>,
        host: &str,
        configs: Rc<ConfigCache>,
        settings: Settings,
        metrics: Arc<HttpMetrics>,
    ) -> Rc<Self> {
        let (checks, requests) = (metrics.checks.clone(), metrics.replies.clone());
        let pollers = Pollers::new(upstream.clone(), policy.clone(), checks, "http", host);
        let requester = Requester::new(upstream.clone(), policy.clone(), requests);
        Rc::new(Self {
            configs,
            metrics,
            pollers,
            requester,
            settings: RefCell::new(Rc::new(settings)),
        })
    }

    /// Brokers learn that the members of the worker leave, because it drains.
    pub fn leave(&self) {
        self.pollers.leave();
        self.requester.leave();
    }

    /// Connections that are made from now on have these settings.
    pub fn configure(&self, settings: Settings) {
        *self.settings.borrow_mut() = Rc::new(settings);
    }
}

/// A connection that carries requests of this crate, perhaps beside calls of gRPC.
#[derive(Debug)]
pub struct Connection {
    pub(crate) server: Rc<Server>,
    pub(crate) settings: Rc<Settings>,
    over: Rc<http_server::Connection>,
}

/// What does not depend on the requests: those to brokers, the client's address, its traffic.
impl Deref for Connection {
    type Target = http_server::Connection;

    fn deref(&self) -> &Self::Target {
        &self.over
    }
}

impl Connection {
    /// What this crate adds to that connection.
    #[must_use]
    pub fn new(server: Rc<Server>, over: Rc<http_server::Connection>) -> Rc<Self> {
        let settings = server.settings.borrow().clone();
        Rc::new(Self {
            server,
            settings,
            over,
        })
    }
}
