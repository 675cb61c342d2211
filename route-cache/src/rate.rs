//! Log lines that peers could make us write without end, or without end to the line.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// Most bytes of what a peer says that a log line holds: the longest name of a topic or group has 255 (`Validators`).
pub const SHOWN_MAX: usize = 255;

/// Lets so many through in a second, and counts the rest. A static for each kind of line, which all workers share.
#[derive(Debug)]
pub struct PerSecond {
    limit: u64,
    second: AtomicU64,
    passed: AtomicU64,
    held_back: AtomicU64,
}

impl PerSecond {
    /// Lets `limit` through in a second.
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self {
            limit,
            second: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// Whether another may go through; with how many did not since the last that did.
    pub fn pass(&self) -> Option<u64> {
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

/// What a peer says, as a log line shows it: its first [`SHOWN_MAX`] bytes, or a little less, for no character is cut.
#[must_use]
pub fn shown(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SHOWN_MAX))
        .unwrap_or_default()
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

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shown("10.0.0.1@7"), "10.0.0.1@7");
        let exact = "x".repeat(SHOWN_MAX);
        assert_eq!(shown(&exact), exact);
        assert_eq!(shown(&"x".repeat(900_000)), exact);
        // Four bytes each: 63 of them fit.
        assert_eq!(shown(&"😀".repeat(100)), "😀".repeat(63));
    }
}
