//! Clients: their connections, their calls, and their presence at brokers.

mod call;
mod connection;
pub(crate) mod presence;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use messaging::ConfigCache;
use messaging::check::Limits;

use crate::metrics::GrpcMetrics;

pub(crate) use call::{Call, metadata};
pub use connection::Connection;
pub(crate) use messaging::now_millis;
pub use presence::Present;

/// The settings of gRPC clients' connections, beside those that all connections of HTTP have.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The greatest sizes and times that calls may ask for.
    pub limits: Limits,
    /// Most bytes of a message of a call.
    pub message_limit: usize,
    /// How often a client that is present is announced to brokers.
    pub announce_every: Duration,
    /// A call that took longer is logged, unless it waits by its nature; zero disables the log.
    pub slow_threshold: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            message_limit: crate::codec::DEFAULT_LIMIT,
            announce_every: Duration::from_secs(20),
            slow_threshold: Duration::from_secs(1),
        }
    }
}

/// What all gRPC connections of a worker share.
#[derive(Debug)]
pub struct Server {
    pub(crate) configs: Rc<ConfigCache>,
    pub(crate) metrics: Arc<GrpcMetrics>,
    settings: RefCell<Rc<Settings>>,
}

impl Server {
    /// The server of one worker, with the configurations that the worker has looked up.
    #[must_use]
    pub fn new(
        configs: Rc<ConfigCache>,
        settings: Settings,
        metrics: Arc<GrpcMetrics>,
    ) -> Rc<Self> {
        Rc::new(Self {
            configs,
            metrics,
            settings: RefCell::new(Rc::new(settings)),
        })
    }

    /// Connections that are made from now on have these settings.
    pub fn configure(&self, settings: Settings) {
        *self.settings.borrow_mut() = Rc::new(settings);
    }

    pub(crate) fn settings(&self) -> Rc<Settings> {
        self.settings.borrow().clone()
    }
}
