//! The known brokers and their addresses.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use remoting_codec::body::{BrokerData, ClusterInfo};
use remoting_codec::{RemotingCommand, RequestCode};
use tokio::time::Instant;

use super::gates::Gates;
use crate::error::NameServerError;
use crate::name_server::NameServers;

/// The least time between two loads of the list.
const LOAD_PAUSE: Duration = Duration::from_millis(500);

/// The broker id of a master (`MixAll.MASTER_ID`).
pub(crate) const MASTER: i64 = 0;

/// The addresses of one broker name: its master and its slaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BrokerAddresses {
    by_id: BTreeMap<i64, Arc<str>>,
}

impl BrokerAddresses {
    fn new(data: &BrokerData) -> Self {
        let entries = data.broker_addrs.iter();
        Self {
            by_id: entries.map(|(id, at)| (*id, at.as_str().into())).collect(),
        }
    }

    /// The master's address, if there is a master now.
    #[must_use]
    pub fn master(&self) -> Option<&Arc<str>> {
        self.by_id.get(&MASTER)
    }

    /// The address to read from: the master's, or the first slave's while there is no master.
    #[must_use]
    pub fn readable(&self) -> Option<&Arc<str>> {
        self.by_id.values().next()
    }

    /// The address of the slave with that id, if there is one.
    #[must_use]
    pub fn replica(&self, id: i64) -> Option<&Arc<str>> {
        self.by_id.get(&id).filter(|_| id != MASTER)
    }

    /// These addresses, and those of `other` for further broker ids.
    fn or(mut self, other: &Self) -> Self {
        for (id, at) in &other.by_id {
            self.by_id.entry(*id).or_insert_with(|| at.clone());
        }
        self
    }

    /// Whether it has more than one address.
    #[must_use]
    pub fn has_replicas(&self) -> bool {
        self.by_id.len() > 1
    }

    /// All of its addresses, the master's first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_id.values()
    }
}

/// The addresses of brokers by name, at one moment.
pub(crate) type Brokers = HashMap<Arc<str>, BrokerAddresses>;

/// All brokers that are registered at the name servers, by name, for all workers.
///
/// A request has the name of its broker, not the address. The whole list is loaded at intervals and
/// when an unknown name is used, and every loaded route updates it. A broker that is not registered
/// any more is removed with the next load of the list. No broker is removed while no name server
/// answers, nor after the answer of a name server that may have just started: not all brokers have
/// registered at it yet.
#[derive(Debug)]
pub struct BrokerTable {
    brokers: RwLock<Arc<Brokers>>,
    /// Grows with every change, so that a worker detects by one load whether anything has changed.
    epoch: AtomicU64,
    /// The time of the latest change; `None` before the first.
    changed: Mutex<Option<Instant>>,
    /// Locked while the list is loaded; the time when the last load started.
    loading: tokio::sync::Mutex<Option<Instant>>,
    name_servers: NameServers,
    gates: Arc<Gates>,
}

impl BrokerTable {
    /// An empty table, which is filled from these name servers.
    #[must_use]
    pub fn new(name_servers: NameServers) -> Self {
        Self {
            brokers: RwLock::default(),
            epoch: AtomicU64::new(1),
            changed: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            name_servers,
            gates: Arc::default(),
        }
    }

    /// Limits how many lanes are opened to each broker's address at the same time.
    pub(crate) fn gates(&self) -> &Arc<Gates> {
        &self.gates
    }

    /// Loads the list, unless it was loaded less than half a second ago. Waits for a load that is
    /// in progress.
    ///
    /// # Errors
    /// When no name server returns it; the table stays unchanged.
    pub async fn load(&self) -> Result<(), NameServerError> {
        let asked = Instant::now();
        let mut begun = self.loading.lock().await;
        if begun.is_some_and(|begun| begun + LOAD_PAUSE > asked) {
            return Ok(());
        }
        *begun = Some(Instant::now());
        let request = RemotingCommand::request(RequestCode::GET_BROKER_CLUSTER_INFO);
        let answer = self.name_servers.call(&request).await?;
        if !answer.is_success() {
            let remark = answer.remark.unwrap_or_default();
            return Err(NameServerError::Unusable(remark.as_ref().into()));
        }
        let list = ClusterInfo::decode(&answer.body)
            .map_err(|error| NameServerError::Unusable(error.to_string().into()))?;
        let mut brokers: Brokers = list.broker_addr_table.values().map(entry).collect();
        if !self.name_servers.are_settled() {
            for (name, known) in &*self.current() {
                let at = match brokers.remove(name) {
                    Some(at) => at.or(known),
                    None => known.clone(),
                };
                brokers.insert(name.clone(), at);
            }
        }
        self.replace(brokers);
        Ok(())
    }

    /// Adds the brokers of a route.
    pub(crate) fn merge(&self, mentioned: &[BrokerData]) {
        let current = self.current();
        let news: Vec<_> = mentioned
            .iter()
            .map(entry)
            .map(|(name, at)| match current.get(&name) {
                Some(known) if !self.name_servers.are_settled() => (name, at.or(known)),
                _ => (name, at),
            })
            .filter(|(name, at)| current.get(name) != Some(at))
            .collect();
        if !news.is_empty() {
            let mut brokers = Brokers::clone(&current);
            brokers.extend(news);
            self.replace(brokers);
        }
    }

    pub(crate) fn current(&self) -> Arc<Brokers> {
        self.brokers.read().clone()
    }

    pub(crate) fn name_servers(&self) -> &NameServers {
        &self.name_servers
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether a broker was added, removed or moved since then.
    pub(crate) fn has_changed_since(&self, moment: Instant) -> bool {
        self.changed.lock().is_some_and(|changed| changed > moment)
    }

    fn replace(&self, brokers: Brokers) {
        let mut current = self.brokers.write();
        if **current != brokers {
            *current = Arc::new(brokers);
            *self.changed.lock() = Some(Instant::now());
            self.epoch.fetch_add(1, Ordering::Release);
        }
    }
}

fn entry(data: &BrokerData) -> (Arc<str>, BrokerAddresses) {
    (data.broker_name.as_str().into(), BrokerAddresses::new(data))
}
