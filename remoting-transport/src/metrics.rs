//! Metrics that a worker keeps and other threads read.
//!
//! Each is written by one worker only, so counting is a load and a store, and no core waits for
//! another. `/metrics` adds up those of all workers.
//!
//! With `--cfg uncounted`, nothing is counted on the path of a request: `make bench PART=figures`
//! measures the cost of counting.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows. Written by one thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it; the count wraps at 2^64.
    #[inline]
    pub fn add(&self, number: u64) {
        if cfg!(uncounted) {
            return;
        }
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now.wrapping_add(number), Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that grows and shrinks. Written by one thread.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Adds to it; negative numbers subtract.
    #[inline]
    pub fn add(&self, number: i64) {
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now.wrapping_add(number), Ordering::Relaxed);
    }

    /// Replaces the number, whatever was added to it before.
    pub fn set(&self, number: i64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// The current number.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bounds of durations, in microseconds. RocketMQ's own for `rocketmq_rpc_latency`
/// (`RemotingMetricsManager`) are among them.
pub const DURATIONS: &[u64] = &[
    100, 250, 500, 1_000, 3_000, 5_000, 7_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_000_000, 3_000_000, 5_000_000, 10_000_000, 30_000_000,
];

/// The distribution of values. Written by one thread.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, and one for values above the last bound.
    buckets: Box<[Counter]>,
    sum: Counter,
}

impl Histogram {
    /// A histogram with these upper bounds, in ascending order.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| Counter::default()).collect(),
            sum: Counter::default(),
        }
    }

    /// A histogram of durations, in microseconds.
    #[must_use]
    pub fn of_durations() -> Self {
        Self::new(DURATIONS)
    }

    /// Counts a value in the unit of the bounds.
    #[inline]
    pub fn observe(&self, value: u64) {
        if cfg!(uncounted) {
            return;
        }
        // Most values are below the first few bounds: a linear search is faster than a binary one.
        let at = self.bounds.iter().position(|bound| value <= *bound);
        let at = at.unwrap_or(self.bounds.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.add(1);
        }
        self.sum.add(value);
    }

    /// Counts a duration, in microseconds.
    #[inline]
    pub fn observe_duration(&self, duration: Duration) {
        // 64 bits of microseconds are half a million years.
        self.observe(duration.as_micros() as u64);
    }

    /// The values counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            counts: self.buckets.iter().map(Counter::get).collect(),
            sum: self.sum.get(),
        }
    }
}

/// The values of a histogram at one moment; those of several workers can be added.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// For each bound, the number of values up to it and above the previous one; then the number
    /// above the last bound.
    pub counts: Vec<u64>,
    /// The sum of all values, in the unit of the bounds.
    pub sum: u64,
}

impl Snapshot {
    /// Adds another with the same bounds.
    pub fn add(&mut self, other: &Self) {
        self.counts
            .resize(self.counts.len().max(other.counts.len()), 0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// The traffic of the connections of one kind.
#[derive(Debug)]
pub struct Meter {
    /// Bytes that were read.
    pub received: Counter,
    /// Bytes that were written.
    pub sent: Counter,
    /// The time from reading a frame to having written its answer or its relayed form; of each
    /// flush, that of the frame that waited longest.
    pub own: Histogram,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            received: Counter::default(),
            sent: Counter::default(),
            own: Histogram::of_durations(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_up_to_its_bound() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, 1000] {
            histogram.observe(value);
        }
        let mut snapshot = histogram.snapshot();
        assert_eq!(snapshot.counts, [2, 2, 2]);
        assert_eq!(snapshot.sum, 1062);
        snapshot.add(&histogram.snapshot());
        assert_eq!(snapshot.counts, [4, 4, 4]);
    }
}
