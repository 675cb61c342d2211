//! Questions of one client to several brokers.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use remoting_codec::RemotingCommand;
use route_cache::UpstreamError;
use tokio::sync::{Semaphore, oneshot};

/// Most questions of one client that brokers are asked at a time: each broker may answer with as much as a frame holds.
const ASKED_MAX: usize = 2;

/// The questions of one client.
#[derive(Debug)]
pub(crate) struct Queries {
    /// The requests that wait for others of the same question, by the question.
    pub(crate) together: HashMap<u64, Vec<oneshot::Sender<Answer>>>,
    turns: Arc<Semaphore>,
}

impl Queries {
    /// The turns of questions whose answers may be large.
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

/// What one request is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// As one broker has answered.
    Frame(Bytes),
    /// Several brokers' answers.
    Joined(RemotingCommand),
    /// Nothing has come.
    Failed(UpstreamError),
}
