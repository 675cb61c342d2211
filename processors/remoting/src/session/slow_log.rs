//! The log of requests that take long.

use std::cell::Cell;
use std::time::Duration;

use remoting_codec::RequestCode;
use tokio::time::Instant;
use tracing::info;

use crate::session::Session;

/// How many slow requests a worker has logged in this second.
#[derive(Debug, Default)]
pub struct SlowLog {
    second: Cell<Option<Instant>>,
    logged: Cell<u32>,
    /// Not logged, for there were too many, since the last that was.
    passed_over: Cell<u64>,
}

impl SlowLog {
    /// Logs a request that took that long to answer, if that is too long.
    #[inline]
    pub(crate) fn look(&self, session: &Session, code: RequestCode, result: i32, time: Duration) {
        let threshold = session.settings.slow_threshold;
        if time > threshold && !threshold.is_zero() {
            self.log(session, code, result, time);
        }
    }

    #[cold]
    fn log(&self, session: &Session, code: RequestCode, result: i32, time: Duration) {
        if code.is_long_poll() {
            return;
        }
        session.metrics.slow.add(1);
        let now = session.now();
        let begun = self.second.get();
        if begun.is_none_or(|begun| now.saturating_duration_since(begun) >= Duration::from_secs(1))
        {
            self.second.set(Some(now));
            self.logged.set(0);
        }
        if self.logged.get() >= session.settings.slow_per_second {
            self.passed_over.set(self.passed_over.get() + 1);
            return;
        }
        self.logged.set(self.logged.get() + 1);
        info!(
            peer = %session.peer(),
            client_id = session.member.client_id(),
            request = code.name(),
            code = code.0,
            result,
            milliseconds = time.as_millis() as u64,
            passed_over = self.passed_over.take(),
            "slow request"
        );
    }
}
