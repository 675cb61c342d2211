//! Where clients are told that brokers are.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The addresses of one listener's clients: the shared one, and those of brokers that have a listener
/// of their own. All `host:port`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advertised {
    /// Where every broker is for a client that names the broker in its requests.
    pub shared: Arc<str>,
    /// Where single brokers are, by name, for a client that does not.
    pub brokers: BTreeMap<String, Arc<str>>,
}

impl Advertised {
    /// Where a broker is: at its own listener if `own` is wanted and there is one.
    #[must_use]
    pub fn address(&self, broker: &str, own: bool) -> &Arc<str> {
        let own = self.brokers.get(broker).filter(|_| own);
        own.unwrap_or(&self.shared)
    }
}
