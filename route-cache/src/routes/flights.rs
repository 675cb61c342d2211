//! Look-ups in progress: one per topic, shared by all requests for it meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::topic::Topic;
use crate::error::{NameServerError, RouteError};

/// Most concurrent look-ups of unknown topics at name servers, for all clients. Further ones wait
/// in order of arrival.
const UNKNOWN_MAX: usize = 256;

/// Most look-ups that may be in progress or wait. The share of a client's address is far below
/// this.
const FLIGHTS_MAX: usize = 16_384;

/// The result of a look-up.
pub(super) type Outcome = Result<Arc<Topic>, RouteError>;

/// The look-ups in progress, by topic.
#[derive(Debug)]
pub(super) struct Flights {
    by_topic: Mutex<HashMap<Arc<str>, Arc<Flight>>>,
    turns: Semaphore,
}

/// One look-up.
#[derive(Debug)]
pub(super) struct Flight {
    /// The name server was not asked before this time.
    pub(super) begun: Instant,
    /// Whether the topic was changed meanwhile: the result may be older than the change.
    outdated: AtomicBool,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Flight {
    /// Waits for the result.
    pub(super) async fn outcome(&self) -> Outcome {
        let mut outcome = self.outcome.subscribe();
        // The sender is in `self`, so it is not dropped.
        let found = outcome.wait_for(Option::is_some).await;
        let found = found.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| Err(ended()))
    }

    /// Whether the result may be older than a known change.
    pub(super) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }
}

fn ended() -> RouteError {
    NameServerError::Unreachable("the look-up has ended".into()).into()
}

/// The duty to end a look-up: dropping it ends the look-up with an error, so no waiter is
/// forgotten.
#[derive(Debug)]
pub(super) struct Duty {
    flights: Arc<Flights>,
    topic: Arc<str>,
    flight: Arc<Flight>,
}

impl Duty {
    /// Ends the look-up.
    pub(super) fn end(self, outcome: Outcome) {
        self.leave();
        self.flight.outcome.send_replace(Some(outcome));
    }

    pub(super) fn flight(&self) -> &Flight {
        &self.flight
    }

    fn leave(&self) {
        let mut by_topic = self.flights.by_topic.lock();
        let current = by_topic.get(&self.topic);
        if current.is_some_and(|current| Arc::ptr_eq(current, &self.flight)) {
            by_topic.remove(&self.topic);
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.leave();
        self.flight.outcome.send_if_modified(|outcome| {
            let unfinished = outcome.is_none();
            if unfinished {
                *outcome = Some(Err(ended()));
            }
            unfinished
        });
    }
}

impl Flights {
    pub(super) fn new() -> Self {
        Self {
            by_topic: Mutex::default(),
            turns: Semaphore::new(UNKNOWN_MAX),
        }
    }

    /// The look-up of that topic; with the duty to make it, if none is in progress.
    ///
    /// # Errors
    /// When too many are in progress.
    pub(super) fn board(
        self: &Arc<Self>,
        topic: &str,
    ) -> Result<(Arc<Flight>, Option<Duty>), RouteError> {
        let mut by_topic = self.by_topic.lock();
        if let Some(flight) = by_topic.get(topic) {
            return Ok((flight.clone(), None));
        }
        if by_topic.len() >= FLIGHTS_MAX {
            return Err(
                NameServerError::Unreachable("too many look-ups are waiting".into()).into(),
            );
        }
        let topic: Arc<str> = topic.into();
        let flight = Arc::new(Flight {
            begun: Instant::now(),
            outdated: AtomicBool::new(false),
            outcome: watch::Sender::new(None),
        });
        by_topic.insert(topic.clone(), flight.clone());
        let duty = Duty {
            flights: self.clone(),
            topic,
            flight: flight.clone(),
        };
        Ok((flight, Some(duty)))
    }

    /// Marks the look-up of that topic as outdated: later requests do not use its result.
    pub(super) fn outdate(&self, topic: &str) {
        if let Some(flight) = self.by_topic.lock().remove(topic) {
            flight.outdated.store(true, Ordering::Release);
        }
    }

    /// Marks the look-ups of all topics as outdated.
    pub(super) fn outdate_all(&self) {
        for (_, flight) in self.by_topic.lock().drain() {
            flight.outdated.store(true, Ordering::Release);
        }
    }

    /// The permits for look-ups of unknown topics.
    pub(super) fn turns(&self) -> &Semaphore {
        &self.turns
    }
}
