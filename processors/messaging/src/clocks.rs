//! The time by this machine's clock and by those of brokers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::SystemTime;

use remoting_codec::message::Receipt;

/// Milliseconds since 1970, by this machine's clock.
#[must_use]
pub fn now_millis() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// By how many milliseconds the clocks of brokers are ahead of this one, as their answers to POPs
/// show. There are as many as brokers that have handed out messages.
#[derive(Debug, Default)]
pub struct Clocks(RefCell<HashMap<Box<str>, i64>>);

/// How long ago a receipt may have expired, in milliseconds: clocks of brokers may differ by that.
pub(crate) const MARGIN: i64 = 2_000;

impl Clocks {
    /// How many milliseconds ago the receipt has expired by its broker's clock: the broker would
    /// answer SUCCESS and do nothing. `None` if it has not, or that clock is not known.
    #[must_use]
    pub fn late(&self, receipt: &Receipt<'_>) -> Option<i64> {
        let now = now_millis().saturating_add(self.ahead(receipt.broker)?);
        let late = now.saturating_sub(receipt.visible_time());
        (late > MARGIN).then_some(late)
    }

    /// By how many milliseconds a broker's clock is ahead, if it is known.
    #[must_use]
    pub fn ahead(&self, broker: &str) -> Option<i64> {
        self.0.borrow().get(broker).copied()
    }

    /// Notes what a broker's clock shows now, in milliseconds since 1970.
    pub fn note(&self, broker: &str, shown: i64) {
        let ahead = shown.saturating_sub(now_millis());
        let mut clocks = self.0.borrow_mut();
        match clocks.get_mut(broker) {
            Some(known) => *known = ahead,
            None => drop(clocks.insert(broker.into(), ahead)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_time_of_a_broker_counts() {
        let clocks = Clocks::default();
        assert_eq!(clocks.ahead("a"), None);
        for minutes in [60, -60] {
            clocks.note("a", now_millis() + minutes * 60_000);
            let ahead = clocks.ahead("a").unwrap();
            assert!((ahead - minutes * 60_000).abs() < 60_000, "{ahead}");
        }
    }
}
