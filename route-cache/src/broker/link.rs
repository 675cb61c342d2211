//! The data connections of a worker.

use std::cell::{Cell, Ref, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::backoff::Backoff;
use super::breaker::Breaker;
use super::connection::Connection;
use super::context::Context;
use super::probe::probe;
use super::table::BrokerAddresses;
use crate::error::UpstreamError;
use crate::metrics::BrokerMetrics;
use crate::peer::Peer;

/// A link that was not used for this time closes its connection.
const UNUSED_MAX: Duration = Duration::from_secs(600);

/// How long a silent connection stays open for an answer once its broker answers over another.
const LAST_CHANCE: Duration = Duration::from_millis(500);

/// How long a request that must follow others waits until they are written.
const FLUSH_TIME: Duration = Duration::from_millis(200);

/// The class of a request, by which its data connection is chosen. One class always uses the same
/// connection, so that a client's requests of one class reach a broker in their order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Sends, offsets, locks, and other requests with a short and fast answer.
    Request,
    /// Pulls and POPs, whose answers are large or late.
    Pull,
    /// Large requests, requests of clients that have many outstanding, and requests whose answers
    /// may be large, so that other requests do not wait behind them.
    Bulk,
    /// Pulls of clients that have many outstanding, for the same reason.
    Crowd,
}

/// A broker as one worker sees it: the data connections that the worker's clients share.
#[derive(Debug)]
pub struct Broker {
    name: Rc<str>,
    peer: Peer,
    addresses: RefCell<BrokerAddresses>,
    requests: Link,
    pulls: Link,
    bulk: Link,
    crowd: Link,
    /// Links to slaves, to which a master refers consumers.
    replicas: RefCell<Vec<(Arc<str>, Link)>>,
    context: Rc<Context>,
}

impl Broker {
    pub(crate) fn new(
        name: Rc<str>,
        addresses: BrokerAddresses,
        context: &Rc<Context>,
    ) -> Rc<Self> {
        let peer = Peer::Broker(name.clone());
        Rc::new(Self {
            requests: Link::new(peer.clone(), context.clone()),
            pulls: Link::new(peer.clone(), context.clone()),
            bulk: Link::new(peer.clone(), context.clone()),
            crowd: Link::paced(peer.clone(), context.clone()),
            peer,
            replicas: RefCell::default(),
            context: context.clone(),
            addresses: RefCell::new(addresses),
            name,
        })
    }

    /// The broker's name.
    #[must_use]
    pub fn name(&self) -> &Rc<str> {
        &self.name
    }

    /// The addresses of the master and slaves, as a name server listed them last.
    pub fn addresses(&self) -> Ref<'_, BrokerAddresses> {
        self.addresses.borrow()
    }

    /// The connection for requests of that class; opened if there is none.
    ///
    /// # Errors
    /// When `needs_master` and there is none, and during the pause after the broker could not be
    /// reached.
    pub fn connection(
        &self,
        class: Class,
        needs_master: bool,
    ) -> Result<Rc<Connection>, UpstreamError> {
        let addresses = self.addresses.borrow();
        let address = match addresses.master() {
            Some(master) => master,
            None if needs_master => return Err(UpstreamError::NoMaster(self.peer.clone())),
            None => addresses
                .readable()
                .ok_or_else(|| UpstreamError::NoBroker(self.name.clone()))?,
        };
        match class {
            Class::Request => self.requests.connection(address),
            Class::Pull => self.pulls.connection(address),
            Class::Bulk => self.bulk.connection(address),
            Class::Crowd => self.crowd.connection(address),
        }
    }

    /// The connection for pulls from the slave with that id, if there is one.
    #[must_use]
    pub fn replica(&self, id: i64) -> Option<(Arc<str>, Rc<Connection>)> {
        let address = self.addresses.borrow().replica(id)?.clone();
        let mut replicas = self.replicas.borrow_mut();
        if !replicas.iter().any(|(at, _)| *at == address) {
            let link = Link::new(self.peer.clone(), self.context.clone());
            replicas.push((address.clone(), link));
        }
        let (_, link) = replicas.iter().find(|(at, _)| *at == address)?;
        let connection = link.connection(&address).ok()?;
        Some((address, connection))
    }

    /// Waits until all earlier requests were handed to the operating system. The time is short,
    /// because a broker that does not read them will not read the request that must follow them
    /// either.
    pub async fn requests_flushed(&self) {
        for link in [&self.requests, &self.bulk] {
            let current = link.current.borrow().clone();
            if let Some((_, connection)) = current {
                let _ = timeout(FLUSH_TIME, connection.flushed()).await;
            }
        }
    }

    /// Sets the broker's addresses. A connection to an address that it no longer has is replaced
    /// with its next use.
    pub(crate) fn relocate(&self, addresses: BrokerAddresses) {
        *self.addresses.borrow_mut() = addresses;
    }

    /// The broker is not registered at any name server any more.
    pub(crate) fn retire(&self) {
        self.requests.retire();
        self.pulls.retire();
        self.bulk.retire();
        self.crowd.retire();
        for (_, link) in self.replicas.take() {
            link.retire();
        }
    }
}

/// One connection, which is opened again whenever it is needed.
#[derive(Debug)]
struct Link {
    peer: Peer,
    context: Rc<Context>,
    current: RefCell<Option<(Arc<str>, Rc<Connection>)>>,
    /// The pause after failed attempts to connect.
    pause: Rc<RefCell<Pause>>,
    used: Rc<Cell<bool>>,
    breaker: RefCell<Option<Rc<Breaker>>>,
    is_paced: bool,
}

#[derive(Debug, Default)]
struct Pause {
    backoff: Backoff,
    until: Option<Instant>,
}

impl Link {
    fn new(peer: Peer, context: Rc<Context>) -> Self {
        Self {
            peer,
            context,
            current: RefCell::default(),
            pause: Rc::default(),
            used: Rc::default(),
            breaker: RefCell::default(),
            is_paced: false,
        }
    }

    /// A link whose connection is paced.
    fn paced(peer: Peer, context: Rc<Context>) -> Self {
        Self {
            is_paced: true,
            ..Self::new(peer, context)
        }
    }

    fn connection(&self, address: &Arc<str>) -> Result<Rc<Connection>, UpstreamError> {
        self.used.set(true);
        let breaker = self.breaker(address);
        if breaker.is_open() {
            return Err(UpstreamError::Failing(self.peer.clone()));
        }
        let mut current = self.current.borrow_mut();
        if let Some((at, connection)) = &*current {
            if connection.is_usable() && (Arc::ptr_eq(at, address) || at == address) {
                return Ok(connection.clone());
            }
            connection.retire();
        }
        *current = None;
        let until = self.pause.borrow().until;
        if until.is_some_and(|until| Instant::now() < until) {
            return Err(UpstreamError::Connect {
                peer: self.peer.clone(),
                reason: format!("{address} could not be reached a moment ago; try again later")
                    .into(),
            });
        }
        let (peer, context) = (self.peer.clone(), self.context.clone());
        let connection = match self.is_paced {
            true => Connection::paced(peer, context, Some(breaker.clone())),
            false => Connection::new(peer, context, None, Some(breaker.clone())),
        };
        self.spawn(connection.clone(), address.clone(), breaker);
        *current = Some((address.clone(), connection.clone()));
        Ok(connection)
    }

    /// The circuit breaker of that address; a new one if the address has changed.
    fn breaker(&self, address: &Arc<str>) -> Rc<Breaker> {
        let mut known = self.breaker.borrow_mut();
        if let Some(breaker) = &*known
            && (Arc::ptr_eq(breaker.address(), address) || breaker.address() == address)
        {
            return breaker.clone();
        }
        let new = Breaker::new(
            self.peer.clone(),
            address.clone(),
            self.metrics(),
            self.context.config.breaker_failures,
        );
        if let Some(old) = known.replace(new.clone()) {
            old.abandon();
        }
        new
    }

    fn metrics(&self) -> Arc<BrokerMetrics> {
        self.context
            .metrics(self.peer.broker_name().unwrap_or_default())
    }

    fn retire(&self) {
        if let Some(breaker) = self.breaker.take() {
            breaker.abandon();
        }
        if let Some((_, connection)) = self.current.take() {
            connection.retire();
        }
    }

    fn spawn(&self, connection: Rc<Connection>, address: Arc<str>, breaker: Rc<Breaker>) {
        let pause = self.pause.clone();
        let used = self.used.clone();
        let context = self.context.clone();
        let peer = self.peer.clone();
        tokio::task::spawn_local(async move {
            let kept = keep(&connection, &used, &context);
            let watched = async {
                breaker.until_silent(|| connection.is_silent()).await;
                connection.retire();
                if breaker.begin_asking() {
                    let (peer, context) = (peer.clone(), context.clone());
                    tokio::task::spawn_local(try_again(peer, context, breaker.clone()));
                }
                end_if_silent(&connection, &breaker).await;
                std::future::pending().await
            };
            let established = tokio::select! {
                established = connection.run(&address) => established,
                never = kept => match never {},
                never = watched => never,
            };
            {
                let mut pause = pause.borrow_mut();
                if established {
                    pause.backoff.reset();
                    pause.until = None;
                } else {
                    pause.until = Some(Instant::now() + pause.backoff.next());
                }
            }
            if established {
                return;
            }
            breaker.failed();
            if breaker.begin_asking() {
                try_again(peer, context, breaker).await;
            }
        });
    }
}

/// While the circuit is open, probes the broker over new connections until it answers.
async fn try_again(peer: Peer, context: Rc<Context>, breaker: Rc<Breaker>) {
    let period = context.config.breaker_probe;
    let mut pause = Duration::ZERO;
    while breaker.is_open() {
        tokio::time::sleep(pause).await;
        pause = period;
        let connection = Connection::new(peer.clone(), context.clone(), None, None);
        let asked = async {
            let answer = connection.call(probe(&context.config), period).await;
            connection.close();
            answer
        };
        let (_, answer) = tokio::join!(connection.run(breaker.address()), asked);
        if answer.is_ok() {
            breaker.succeeded();
        }
    }
    breaker.end_asking();
}

/// Closes a connection that stays silent although its broker answers over another: then it is the
/// connection that is broken.
async fn end_if_silent(silent: &Connection, breaker: &Breaker) {
    while breaker.is_open() {
        tokio::time::sleep(LAST_CHANCE).await;
    }
    tokio::time::sleep(LAST_CHANCE).await;
    if silent.is_silent() {
        // Long polls lose nothing: their clients are answered to poll again immediately.
        silent.give_up_polls();
        silent.close();
    }
}

/// Sends a request before the broker closes the connection as idle, until it was unused for
/// [`UNUSED_MAX`].
async fn keep(connection: &Connection, used: &Cell<bool>, context: &Context) -> Infallible {
    let period = context.config.keep_alive;
    let mut unused = Duration::ZERO;
    loop {
        tokio::time::sleep(period).await;
        if used.replace(false) {
            unused = Duration::ZERO;
            continue;
        }
        unused += period;
        if unused >= UNUSED_MAX {
            connection.retire();
            std::future::pending::<()>().await;
        }
        // Only the use of the connection matters, not the answer.
        let _ = timeout(period, connection.call(probe(&context.config), period)).await;
    }
}
