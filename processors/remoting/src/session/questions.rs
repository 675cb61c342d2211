//! Queries of one client that several brokers answer.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use remoting_codec::RemotingCommand;
use route_cache::UpstreamError;
use tokio::sync::{Semaphore, oneshot};

/// The most queries of one client that are at brokers at a time: each broker may answer with as
/// much as a frame holds.
const ASKED_MAX: usize = 2;

/// The QUERY_MESSAGE requests of one client that wait for equal ones or for brokers.
#[derive(Debug)]
pub(crate) struct Queries {
    /// The requests that wait for equal ones, by the hash of the query.
    pub(crate) together: HashMap<u64, Vec<oneshot::Sender<Answer>>>,
    turns: Arc<Semaphore>,
}

impl Queries {
    /// The permits of queries whose answers may be large.
    pub(crate) fn turns(&self) -> Arc<Semaphore> {
        self.turns.clone()
    }
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            together: HashMap::new(),
            turns: Arc::new(Semaphore::new(ASKED_MAX)),
        }
    }
}

/// The answer to one of several equal requests.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The answer of one broker.
    Frame(Bytes),
    /// The joined answers of several brokers.
    Joined(RemotingCommand),
    /// No broker has answered.
    Failed(UpstreamError),
}
