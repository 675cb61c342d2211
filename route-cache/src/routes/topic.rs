//! A cached route with its age.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::topic_route::TopicRoute;

/// How long a known route is used without another attempt after a load has failed.
const RELOAD_PAUSE: Duration = Duration::from_secs(2);

/// A topic whose route is known.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) route: Arc<TopicRoute>,
    /// No name server was asked for it before this time.
    pub(super) asked: Instant,
    /// When the topic was changed through this proxy, if it was changed after the load.
    pub(super) changed: Mutex<Option<Instant>>,
    /// When the last attempt to load it again failed.
    pub(super) failed: Mutex<Option<Instant>>,
}

impl Topic {
    /// Whether an attempt to load it again has failed less than [`RELOAD_PAUSE`] ago.
    pub(super) fn has_failed_lately(&self) -> bool {
        let failed = *self.failed.lock();
        failed.is_some_and(|failed| failed.elapsed() < RELOAD_PAUSE)
    }
}
