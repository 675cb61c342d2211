//! Which brokers there are, and where.

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

/// At the least between two loads of the list.
const LOAD_PAUSE: Duration = Duration::from_millis(500);

/// The broker id of a master (`MixAll.MASTER_ID`).
pub(crate) const MASTER: i64 = 0;

/// Where one broker name is: its master and its replicas.
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

    /// Where its master is, if it has one now.
    #[must_use]
    pub fn master(&self) -> Option<&Arc<str>> {
        self.by_id.get(&MASTER)
    }

    /// Where to read: at the master, or at the first replica while there is none.
    #[must_use]
    pub fn readable(&self) -> Option<&Arc<str>> {
        self.by_id.values().next()
    }

    /// Where the replica with that id is, if there is one.
    #[must_use]
    pub fn replica(&self, id: i64) -> Option<&Arc<str>> {
        self.by_id.get(&id).filter(|_| id != MASTER)
    }

    /// These, and whatever ids another has beside them.
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

/// Brokers by name, as of one moment.
pub(crate) type Brokers = HashMap<Arc<str>, BrokerAddresses>;

/// All brokers that the name servers know, by name, for all workers.
///
/// A request names its broker and not where that is. The list is loaded whole, at intervals and when
/// a name turns up that is not in it, and mended by every route that is loaded; a broker that name
/// servers have stopped to mention is forgotten with the next load of the list. Nothing is forgotten while no
/// name server answers, nor of what one says that may have been started just now: brokers have yet to tell it of themselves.
#[derive(Debug)]
pub struct BrokerTable {
    brokers: RwLock<Arc<Brokers>>,
    /// Grows with every change, so that a worker sees in one load that nothing has changed.
    epoch: AtomicU64,
    /// When that was; nothing before the first.
    changed: Mutex<Option<Instant>>,
    /// Held while the list is loaded; when that was begun last.
    loading: tokio::sync::Mutex<Option<Instant>>,
    name_servers: NameServers,
    gates: Arc<Gates>,
}

impl BrokerTable {
    /// An empty table, to be filled from these name servers.
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

    /// Before each broker's address, who may make a lane.
    pub(crate) fn gates(&self) -> &Arc<Gates> {
        &self.gates
    }

    /// Loads the list, unless that was done a moment ago or is being done: then waits for that.
    ///
    /// # Errors
    /// When no name server gives it; the table stays as it is.
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

    /// Takes in what a route says of its brokers.
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

    /// Whether a broker has come, gone or moved since then.
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
