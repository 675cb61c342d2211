//! A route with what is known of its age.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::topic_route::TopicRoute;

/// How long a route is answered as it was known after it could not be loaded anew.
const RELOAD_PAUSE: Duration = Duration::from_secs(2);

/// A topic whose route is known.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) route: Arc<TopicRoute>,
    /// No name server was asked for it before this.
    pub(super) asked: Instant,
    /// When it was changed through this proxy, if it was since.
    pub(super) changed: Mutex<Option<Instant>>,
    /// When it could not be loaded anew, last.
    pub(super) failed: Mutex<Option<Instant>>,
}

impl Topic {
    /// Whether an attempt to load it anew has failed a moment ago.
    pub(super) fn has_failed_lately(&self) -> bool {
        let failed = *self.failed.lock();
        failed.is_some_and(|failed| failed.elapsed() < RELOAD_PAUSE)
    }
}
