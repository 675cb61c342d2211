//! Warnings that are throttled, because a request causes them.

use route_cache::rate::LogThrottle;

/// Throttles the warning about requests that name no broker, for all workers.
static NO_BROKER_NAME: LogThrottle = LogThrottle::per_minute(1);

/// Whether the warning that a request names no broker may be logged now.
pub(crate) fn no_broker_name_is_due() -> bool {
    NO_BROKER_NAME.pass().is_some()
}
