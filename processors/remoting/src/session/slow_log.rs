//! The log of slow requests.

use std::time::Duration;

use remoting_codec::RequestCode;
use route_cache::rate::LogThrottle;
use tracing::info;

use crate::session::Session;

/// Throttles the slow log of a worker. The limit is in the settings of the session.
#[derive(Debug)]
pub struct SlowLog(LogThrottle);

impl Default for SlowLog {
    fn default() -> Self {
        Self(LogThrottle::per_second(0))
    }
}

impl SlowLog {
    /// Logs a request if the time to its answer exceeds the threshold.
    #[inline]
    pub(crate) fn check(&self, session: &Session, code: RequestCode, result: i32, time: Duration) {
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
        let limit = u64::from(session.settings.slow_per_second);
        let Some(not_logged) = self.0.pass_below(limit) else {
            return;
        };
        info!(
            peer = %session.peer(),
            client_id = session.member.client_id(),
            request = code.name(),
            code = code.0,
            result,
            milliseconds = time.as_millis() as u64,
            not_logged,
            "slow request"
        );
    }
}
