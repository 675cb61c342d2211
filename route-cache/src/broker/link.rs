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

/// A link that nobody has used for so long lets its connection go.
const UNUSED_MAX: Duration = Duration::from_secs(600);

/// How long a connection that has been silent may take to say something once its broker answers over another.
const LAST_CHANCE: Duration = Duration::from_millis(500);

/// How long what is to follow other requests waits for them to be written.
const FLUSH_TIME: Duration = Duration::from_millis(200);

/// What a request is, as far as the choice of a connection goes. One class always uses the same
/// connection, so that a client's requests of one class reach a broker in their order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Sends, offsets, locks and what else is answered briefly and at once.
    Request,
    /// Pulls: answered with much, or after long.
    Pull,
    /// Large requests, those of clients that have many outstanding, and those whose answers may be large, so that others' do
    /// not wait behind them.
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
    /// To replicas, where a master has consumers read on.
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

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Rc<str> {
        &self.name
    }

    /// Where it is now.
    pub fn addresses(&self) -> Ref<'_, BrokerAddresses> {
        self.addresses.borrow()
    }

    /// The connection for requests of that class; one is begun if there is none.
    ///
    /// # Errors
    /// When `needs_master` and there is none, and while the broker is left alone after it could not be
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

    /// The connection for pulls from the replica with that id, if there is one.
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

    /// Waits until the requests that were made so far are with the operating system; not long, for a
    /// broker that does not take them will not take what is to follow them either.
    pub async fn requests_flushed(&self) {
        for link in [&self.requests, &self.bulk] {
            let current = link.current.borrow().clone();
            if let Some((_, connection)) = current {
                let _ = timeout(FLUSH_TIME, connection.flushed()).await;
            }
        }
    }

    /// Takes over where the broker is now. Connections to where it no longer is are given up with
    /// their next use.
    pub(crate) fn relocate(&self, addresses: BrokerAddresses) {
        *self.addresses.borrow_mut() = addresses;
    }

    /// No name server knows the broker any more.
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

/// One connection, made anew as often as it is needed.
#[derive(Debug)]
struct Link {
    peer: Peer,
    context: Rc<Context>,
    current: RefCell<Option<(Arc<str>, Rc<Connection>)>>,
    /// Set while the broker is left alone: until when, and what was wrong.
    trouble: Rc<RefCell<Trouble>>,
    used: Rc<Cell<bool>>,
    breaker: RefCell<Option<Rc<Breaker>>>,
    is_paced: bool,
}

#[derive(Debug, Default)]
struct Trouble {
    backoff: Backoff,
    until: Option<Instant>,
}

impl Link {
    fn new(peer: Peer, context: Rc<Context>) -> Self {
        Self {
            peer,
            context,
            current: RefCell::default(),
            trouble: Rc::default(),
            used: Rc::default(),
            breaker: RefCell::default(),
            is_paced: false,
        }
    }

    /// One whose requests are written a few at a time.
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
        let until = self.trouble.borrow().until;
        if until.is_some_and(|until| Instant::now() < until) {
            return Err(UpstreamError::Connect {
                peer: self.peer.clone(),
                reason: format!("{address} could not be reached a moment ago").into(),
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

    /// What is known of whether that address answers.
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
        let trouble = self.trouble.clone();
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
                let mut trouble = trouble.borrow_mut();
                if established {
                    trouble.backoff.reset();
                    trouble.until = None;
                } else {
                    trouble.until = Some(Instant::now() + trouble.backoff.next());
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

/// While the circuit is open, asks the broker something over a new connection again and again, until that is answered.
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

/// Ends a connection that stays silent though its broker answers over another: the broker is there, and that connection leads
/// nowhere.
async fn end_if_silent(silent: &Connection, breaker: &Breaker) {
    while breaker.is_open() {
        tokio::time::sleep(LAST_CHANCE).await;
    }
    tokio::time::sleep(LAST_CHANCE).await;
    if silent.is_silent() {
        // Of long polls nothing is lost: their clients are to ask again at once.
        silent.give_up_polls();
        silent.close();
    }
}

/// Says something before the broker finds a connection idle, until that is no longer worth it.
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
        // Whatever the answer is, the connection was used.
        let _ = timeout(period, connection.call(probe(&context.config), period)).await;
    }
}
