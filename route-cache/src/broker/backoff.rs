//! How long to leave a broker alone after it could not be reached.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// After the first failure: a broker that restarts is back within seconds, and a producer that is
/// refused tries another meanwhile.
const FIRST: Duration = Duration::from_millis(100);

/// After many.
const LONGEST: Duration = Duration::from_secs(3);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Another failure: how long to wait now. Doubles each time; half of it is left to chance, so that
    /// the clients of a broker do not come back all at once.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = FIRST
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = longest / 2;
        // Randomly keyed at every call: all the chance that this needs.
        let chance = RandomState::new().hash_one(self.failures) % (half.as_millis() as u64 + 1);
        half + Duration::from_millis(chance)
    }

    /// It worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[30] >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
