//! Pauses between attempts to connect to a broker that cannot be reached.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pause after the first failure. A broker that restarts answers again within seconds, and a
/// producer whose request is refused tries another broker meanwhile.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause, reached at the sixth failure in a row.
const LONGEST: Duration = Duration::from_secs(3);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Records a failure; returns the pause. It doubles each time. Half of it is random, so that
    /// the clients of a broker do not reconnect all at the same time.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = FIRST
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = longest / 2;
        // Each `RandomState` has random keys: enough randomness for a pause.
        let chance = RandomState::new().hash_one(self.failures) % (half.as_millis() as u64 + 1);
        half + Duration::from_millis(chance)
    }

    /// Records a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[30] >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
