//! Log lines that peers could make us write without end.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// Lets so many through in a second, and counts the rest.
#[derive(Debug)]
pub(crate) struct PerSecond {
    limit: u64,
    second: AtomicU64,
    passed: AtomicU64,
    held_back: AtomicU64,
}

impl PerSecond {
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            limit,
            second: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// Whether another may go through; with how many did not since the last that did.
    pub(crate) fn pass(&self) -> Option<u64> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        // Counts from 1: the first second is not the one that nothing has happened in.
        let now = START.elapsed().as_secs() + 1;
        if self.second.swap(now, Ordering::Relaxed) != now {
            self.passed.store(0, Ordering::Relaxed);
        }
        if self.passed.fetch_add(1, Ordering::Relaxed) < self.limit {
            return Some(self.held_back.swap(0, Ordering::Relaxed));
        }
        self.held_back.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rest_is_counted() {
        let rate = PerSecond::new(2);
        tokio::time::advance(Duration::from_secs(1)).await;
        let passed: Vec<_> = (0..5).map(|_| rate.pass()).collect();
        assert_eq!(passed, [Some(0), Some(0), None, None, None]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(rate.pass(), Some(3));
    }
}
