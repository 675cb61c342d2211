//! Warnings that must not be written once per request.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How often the same is said.
const PAUSE: Duration = Duration::from_secs(60);

/// When it was said last that a request names no broker; for all workers.
static NO_BROKER_NAME: Mutex<Option<Instant>> = Mutex::new(None);

/// Whether it is time to say that a request names no broker.
pub(crate) fn no_broker_name_is_due() -> bool {
    let mut last = NO_BROKER_NAME.lock();
    let due = last.is_none_or(|last| last.elapsed() >= PAUSE);
    if due {
        *last = Some(Instant::now());
    }
    due
}
