//! Everything upstream, as one worker has it.

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

/// A worker's connections to brokers, and its way to what all workers share.
#[derive(Debug)]
pub struct Upstream {
    context: Rc<Context>,
    table: Arc<BrokerTable>,
    routes: RouteCache,
    brokers: RefCell<HashMap<Rc<str>, Rc<Broker>>>,
    /// The table's epoch that `brokers` agrees with.
    epoch: Cell<u64>,
    addresses: ByAddress<Address>,
}

impl Upstream {
    /// Without a connection yet.
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

    /// Must be called once per [`crate::TICK`]: answers what is over its time, and has name servers
    /// asked where brokers are once one was lost.
    pub fn tick(&self) {
        self.context.tick();
        if self.context.take_lost() {
            let table = self.table.clone();
            tokio::spawn(async move {
                if let Err(error) = table.load().await {
                    tracing::debug!(%error, "brokers kept as they were known");
                }
            });
        }
    }

    /// Answers the long polls of clients that are to go ([`RelayTarget::gives_up`]).
    ///
    /// [`RelayTarget::gives_up`]: crate::RelayTarget::gives_up
    pub fn release(&self) {
        self.context.release();
    }

    /// A client has gone that had something outstanding.
    pub fn note_gone(&self) {
        self.context.note_gone();
    }

    /// What the clients of an address share.
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

    /// Settings.
    #[must_use]
    pub fn config(&self) -> &UpstreamConfig {
        &self.context.config
    }

    /// Routes, for all workers.
    #[must_use]
    pub fn routes(&self) -> &RouteCache {
        &self.routes
    }

    /// The broker of that name, if it is known now.
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

    /// The broker of that name; name servers are asked when it is not known.
    ///
    /// # Errors
    /// When they do not know it either, or do not answer.
    pub async fn broker(&self, name: &str) -> Result<Rc<Broker>, UpstreamError> {
        if let Some(broker) = self.known_broker(name) {
            return Ok(broker);
        }
        if let Err(error) = self.table.load().await {
            tracing::debug!(broker = name, %error, "cannot look for the broker");
        }
        self.known_broker(name)
            .ok_or_else(|| UpstreamError::NoBroker(name.into()))
    }

    /// Every broker that is known now, ordered by name; name servers are asked when none is.
    pub async fn all_brokers(&self) -> Vec<Rc<Broker>> {
        if self.table.current().is_empty()
            && let Err(error) = self.table.load().await
        {
            tracing::debug!(%error, "no broker is known");
        }
        let mut names: Vec<_> = self.table.current().keys().cloned().collect();
        names.sort_unstable();
        names
            .iter()
            .filter_map(|name| self.known_broker(name))
            .collect()
    }

    /// Name servers, for what is not about routes.
    #[must_use]
    pub fn name_servers(&self) -> &NameServers {
        self.table.name_servers()
    }

    /// Opens a lane for the client who is `push_target`.
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
