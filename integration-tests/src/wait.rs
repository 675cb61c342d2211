//! Waiting for a condition, never for a fixed time.

#![allow(
    clippy::disallowed_types,
    reason = "real processes are waited for, and their clock cannot be paused"
)]

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// A point in time until which something must have happened.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
}

impl Deadline {
    /// The deadline that is `limit` away.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self {
            at: Instant::now() + limit,
        }
    }

    /// The time that is left, `None` when there is none.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.at
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }
}

/// Calls `probe` until it finds something, or fails with `what` was waited for.
///
/// # Errors
/// When the limit has passed, or immediately when `probe` itself fails.
pub fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Deadline::after(limit);
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        let Some(left) = deadline.remaining() else {
            bail!("waited {limit:?} in vain for {what}");
        };
        thread::sleep(left.min(INTERVAL));
    }
}

/// Milliseconds since the epoch: the clock that clients stamp their events with.
#[must_use]
pub fn now_ms() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
