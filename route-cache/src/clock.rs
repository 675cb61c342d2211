//! Time in ticks, for a worker's tables.

use std::cell::Cell;
use std::time::Duration;

/// The interval at which a worker checks deadlines, and so their precision.
pub const TICK: Duration = Duration::from_millis(50);

/// Counts a worker's ticks: a deadline costs an addition, not a system call.
#[derive(Debug, Default)]
pub struct Clock(Cell<u32>);

/// A moment in the future, in ticks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadline(u32);

/// A moment in the past, in ticks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment(u32);

impl Clock {
    /// The number of ticks so far, as a moment to measure from.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(self.0.get())
    }

    /// The time since then, with the precision of a tick.
    #[must_use]
    pub fn since(&self, moment: Moment) -> Duration {
        TICK * self.0.get().wrapping_sub(moment.0)
    }

    /// The first moment by which at least that much time will have passed.
    #[must_use]
    pub fn after(&self, time: Duration) -> Deadline {
        let ticks = time.as_millis().div_ceil(TICK.as_millis()) as u32;
        Deadline(self.0.get().wrapping_add(ticks).wrapping_add(1))
    }

    /// Whether that moment has passed.
    #[must_use]
    pub fn is_over(&self, deadline: Deadline) -> bool {
        // Wraps after seven years; half the range is past, half is future.
        (deadline.0.wrapping_sub(self.0.get()) as i32) <= 0
    }

    /// Lets one tick pass. Called by the worker's tick alone.
    pub fn tick(&self) {
        self.0.set(self.0.get().wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_survives_wrapping() {
        let clock = Clock(Cell::new(u32::MAX - 1));
        let deadline = clock.after(TICK * 2);
        for _ in 0..2 {
            clock.tick();
            assert!(!clock.is_over(deadline));
        }
        clock.tick();
        assert!(clock.is_over(deadline));
    }
}
