//! Limits for log lines that clients or brokers can cause: their number, and their length.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// Most bytes of a text from a client or broker in a log line: the longest name of a topic or group
/// has 255 (`Validators`).
pub const SHOWN_MAX: usize = 255;

/// Lets a number of log lines through in a period, and counts the rest. Usually a static for each
/// kind of line, which all workers share.
#[derive(Debug)]
pub struct LogThrottle {
    /// Most lines in a period.
    limit: u64,
    /// The length of a period in milliseconds.
    period: u64,
    /// When the period started, in milliseconds of the process; 0 before the first line.
    started: AtomicU64,
    passed: AtomicU64,
    held_back: AtomicU64,
}

impl LogThrottle {
    /// Lets `limit` lines through in a second.
    #[must_use]
    pub const fn per_second(limit: u64) -> Self {
        Self::new(limit, 1000)
    }

    /// Lets `limit` lines through in a minute.
    #[must_use]
    pub const fn per_minute(limit: u64) -> Self {
        Self::new(limit, 60_000)
    }

    const fn new(limit: u64, period: u64) -> Self {
        Self {
            limit,
            period,
            started: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
        }
    }

    /// Whether another line may be written; with the number of lines that were held back since the
    /// last one.
    pub fn pass(&self) -> Option<u64> {
        self.pass_below(self.limit)
    }

    /// As [`Self::pass`], with another limit for this period than the throttle's own.
    pub fn pass_below(&self, limit: u64) -> Option<u64> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        // Starts at 1, because 0 stands for no time.
        let now = START.elapsed().as_millis() as u64 + 1;
        let started = self.started.load(Ordering::Relaxed);
        let is_over = started == 0 || now.saturating_sub(started) >= self.period;
        let order = Ordering::Relaxed;
        // One of several workers starts the new period.
        if is_over
            && self
                .started
                .compare_exchange(started, now, order, order)
                .is_ok()
        {
            self.passed.store(0, Ordering::Relaxed);
        }
        if self.passed.fetch_add(1, Ordering::Relaxed) < limit {
            return Some(self.held_back.swap(0, Ordering::Relaxed));
        }
        self.held_back.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// The part of a text that a log line shows: its first [`SHOWN_MAX`] bytes, or a few less, so that
/// no character is cut.
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
        for (throttle, period) in [
            (LogThrottle::per_second(2), 1),
            (LogThrottle::per_minute(2), 60),
        ] {
            let passed: Vec<_> = (0..5).map(|_| throttle.pass()).collect();
            assert_eq!(passed, [Some(0), Some(0), None, None, None]);
            tokio::time::advance(Duration::from_millis(period * 1000 - 1)).await;
            assert_eq!(throttle.pass(), None);
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(throttle.pass(), Some(4));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_may_change() {
        let throttle = LogThrottle::per_second(0);
        assert_eq!(throttle.pass_below(1), Some(0));
        assert_eq!(throttle.pass_below(1), None);
        assert_eq!(throttle.pass_below(3), Some(1));
        assert_eq!(throttle.pass(), None);
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
