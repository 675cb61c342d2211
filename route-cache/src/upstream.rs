//! One worker's access to everything upstream.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::address::{Address, AddressKey, ByAddress};
use crate::broker::{Broker, BrokerTable, Context, Lane, PushTarget, Registration};
use crate::clock::Clock;
use crate::config::UpstreamConfig;
use crate::error::UpstreamError;
use crate::metrics::UpstreamMetrics;
use crate::name_server::NameServers;
use crate::routes::RouteCache;
use remoting_transport::Buffers;

/// A worker's connections to brokers, and the state that all workers share.
#[derive(Debug)]
pub struct Upstream {
    context: Rc<Context>,
    table: Arc<BrokerTable>,
    routes: RouteCache,
    brokers: RefCell<HashMap<Rc<str>, Rc<Broker>>>,
    /// The table's epoch for which `brokers` is current.
    epoch: Cell<u64>,
    addresses: ByAddress<Address>,
}

impl Upstream {
    /// A worker's upstream, without a connection yet.
    #[must_use]
    pub fn new(
        buffers: Rc<Buffers>,
        config: UpstreamConfig,
        table: Arc<BrokerTable>,
        routes: RouteCache,
        metrics: Arc<UpstreamMetrics>,
    ) -> Rc<Self> {
        let gates = table.gates().clone();
        Rc::new(Self {
            context: Rc::new(Context::new(buffers, config, gates, metrics)),
            table,
            routes,
            brokers: RefCell::default(),
            epoch: Cell::new(0),
            addresses: ByAddress::default(),
        })
    }

    /// Must be called once per [`crate::TICK`]: fails requests whose deadline has passed, and loads
    /// the brokers' addresses again after a connection was lost.
    pub fn tick(&self) {
        self.context.tick();
        if self.context.take_lost() {
            let table = self.table.clone();
            tokio::spawn(async move {
                if let Err(error) = table.load().await {
                    tracing::debug!(%error, "cannot load the list of brokers: the known ones are kept");
                }
            });
        }
    }

    /// Answers the long polls of clients that must move to other replicas
    /// ([`RelayTarget::gives_up`]).
    ///
    /// [`RelayTarget::gives_up`]: crate::RelayTarget::gives_up
    pub fn release(&self) {
        self.context.release();
    }

    /// Records that a client with outstanding requests has disconnected.
    pub fn note_gone(&self) {
        self.context.note_gone();
    }

    /// The state that the clients of an address share.
    #[must_use]
    pub fn address(&self, key: AddressKey) -> Rc<Address> {
        self.addresses.of(key, || Address::new(key))
    }

    /// The worker's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.context.clock
    }

    /// The worker's buffers.
    #[must_use]
    pub fn buffers(&self) -> &Rc<Buffers> {
        &self.context.buffers
    }

    /// Timeouts, limits and TLS of connections to brokers and name servers.
    #[must_use]
    pub fn config(&self) -> &UpstreamConfig {
        &self.context.config
    }

    /// The cached routes, which all workers share.
    #[must_use]
    pub fn routes(&self) -> &RouteCache {
        &self.routes
    }

    /// The broker of that name; `None` if the current list of brokers does not have it. No name
    /// server is asked.
    #[must_use]
    pub fn known_broker(&self, name: &str) -> Option<Rc<Broker>> {
        if self.table.epoch() != self.epoch.get() {
            self.reconcile();
        }
        if let Some(broker) = self.brokers.borrow().get(name) {
            return Some(broker.clone());
        }
        let current = self.table.current();
        let addresses = current.get(name)?.clone();
        let name: Rc<str> = name.into();
        let broker = Broker::new(name.clone(), addresses, &self.context);
        self.brokers.borrow_mut().insert(name, broker.clone());
        Some(broker)
    }

    /// The broker of that name; the list is loaded from name servers if it is not known.
    ///
    /// # Errors
    /// When it is not registered there either, or no name server answers.
    pub async fn broker(&self, name: &str) -> Result<Rc<Broker>, UpstreamError> {
        if let Some(broker) = self.known_broker(name) {
            return Ok(broker);
        }
        if let Err(error) = self.table.load().await {
            tracing::debug!(broker = name, %error, "cannot load the list of brokers");
        }
        self.known_broker(name)
            .ok_or_else(|| UpstreamError::NoBroker(name.into()))
    }

    /// All known brokers, ordered by name; the list is loaded from name servers if none is known.
    pub async fn all_brokers(&self) -> Vec<Rc<Broker>> {
        if self.table.current().is_empty()
            && let Err(error) = self.table.load().await
        {
            tracing::debug!(%error, "cannot load the list of brokers");
        }
        let mut names: Vec<_> = self.table.current().keys().cloned().collect();
        names.sort_unstable();
        names
            .iter()
            .filter_map(|name| self.known_broker(name))
            .collect()
    }

    /// The name servers, for requests that are not about routes.
    #[must_use]
    pub fn name_servers(&self) -> &NameServers {
        self.table.name_servers()
    }

    /// Opens a lane for the client behind `push_target`.
    #[must_use]
    pub fn open_lane(
        &self,
        broker: Rc<str>,
        address: Arc<str>,
        registration: Rc<Registration>,
        push_target: Weak<dyn PushTarget>,
    ) -> Rc<Lane> {
        let context = self.context.clone();
        Lane::open(broker, address, context, registration, push_target)
    }

    fn reconcile(&self) {
        let epoch = self.table.epoch();
        let current = self.table.current();
        self.brokers.borrow_mut().retain(|name, broker| {
            let addresses = current.get(&**name);
            match addresses {
                Some(addresses) => broker.relocate(addresses.clone()),
                None => broker.retire(),
            }
            addresses.is_some()
        });
        self.epoch.set(epoch);
    }
}
