//! Warnings that must not be written once per request.

use route_cache::rate::LogThrottle;

/// Requests that name no broker; for all workers.
static NO_BROKER_NAME: LogThrottle = LogThrottle::per_minute(1);

/// Whether to warn that a request names no broker.
pub(crate) fn no_broker_name_is_due() -> bool {
    NO_BROKER_NAME.pass().is_some()
}
