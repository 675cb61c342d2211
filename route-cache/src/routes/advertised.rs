//! The addresses that routes advertise to clients.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The addresses of one listener's clients: the shared one, and those of brokers that have a
/// listener of their own. All `host:port`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advertised {
    /// The address of every broker, for clients that name the broker in their requests.
    pub shared: Arc<str>,
    /// The addresses of broker listeners, by broker name, for clients that do not.
    pub brokers: BTreeMap<String, Arc<str>>,
}

impl Advertised {
    /// The advertised address of a broker: that of its own listener if `own` is set and there is
    /// one.
    #[must_use]
    pub fn address(&self, broker: &str, own: bool) -> &Arc<str> {
        let own = self.brokers.get(broker).filter(|_| own);
        own.unwrap_or(&self.shared)
    }
}
