//! What was measured of healthy clients.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// What kind of client a request is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A producer's.
    Send,
    /// A consumer's.
    Pull,
    /// Of a client that asks for routes and sends heartbeats.
    Control,
    /// A producer's that is connected directly.
    Direct,
    /// A consumer's that is.
    DirectPull,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 5] = [
        Self::Send,
        Self::Pull,
        Self::Control,
        Self::Direct,
        Self::DirectPull,
    ];

    /// All that go through the proxy.
    pub const PROXIED: [Self; 3] = [Self::Send, Self::Pull, Self::Control];

    /// As it is called in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "sends",
            Self::Pull => "pulls",
            Self::Control => "routes and heartbeats",
            Self::Direct => "direct sends",
            Self::DirectPull => "direct pulls",
        }
    }

    /// The kind that it is compared with.
    #[must_use]
    pub fn directly(self) -> Self {
        match self {
            Self::Pull | Self::DirectPull => Self::DirectPull,
            Self::Send | Self::Control | Self::Direct => Self::Direct,
        }
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Whose it was.
    pub kind: Kind,
    /// When it was due: a client that waits for an answer is late for its next requests, and that
    /// counts.
    pub due: Instant,
    /// From then to its answer.
    pub took: Duration,
    /// Whether it was answered, and well.
    pub ok: bool,
}

/// What healthy clients write their samples into.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Arc<Mutex<Vec<Sample>>>);

impl Journal {
    pub(super) fn note(&self, sample: Sample) {
        self.0.lock().push(sample);
    }

    /// The samples of that kind that were due in that span.
    #[must_use]
    pub(super) fn between(&self, kind: Kind, from: Instant, to: Instant) -> Vec<Sample> {
        let all = self.0.lock();
        let chosen = all
            .iter()
            .filter(|one| one.kind == kind && (from..to).contains(&one.due));
        chosen.copied().collect()
    }
}

/// Samples in a few figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// How many requests were due.
    pub due: usize,
    /// How many of them were answered well.
    pub ok: usize,
    /// All but one in a hundred took less.
    pub p99: Duration,
    /// The time of the slowest request.
    pub longest: Duration,
}

impl Summary {
    /// How many of a hundred were answered well.
    #[must_use]
    pub fn ok_percent(&self) -> f64 {
        if self.due == 0 {
            return 0.0;
        }
        100.0 * self.ok as f64 / self.due as f64
    }
}

/// Sums samples up, of which there should be that many.
#[must_use]
pub fn summarize(samples: &[Sample], expected: usize) -> Summary {
    let mut times: Vec<Duration> = samples.iter().map(|sample| sample.took).collect();
    times.sort_unstable();
    let rank = (times.len() * 99).div_ceil(100).saturating_sub(1);
    Summary {
        due: samples.len().max(expected),
        ok: samples.iter().filter(|sample| sample.ok).count(),
        p99: times.get(rank).copied().unwrap_or_default(),
        longest: times.last().copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_failed() {
        let sample = |millis, ok| Sample {
            kind: Kind::Send,
            due: Instant::now(),
            took: Duration::from_millis(millis),
            ok,
        };
        let samples: Vec<Sample> = (1..=100)
            .map(|millis| sample(millis, millis > 10))
            .collect();
        let sum = summarize(&samples, 180);
        assert_eq!((sum.due, sum.ok), (180, 90));
        assert_eq!(sum.p99, Duration::from_millis(99));
        assert_eq!(sum.longest, Duration::from_millis(100));
        assert!((sum.ok_percent() - 50.0).abs() < f64::EPSILON);
    }
}
