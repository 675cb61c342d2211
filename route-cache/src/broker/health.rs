//! The health of a connection, judged by that connection alone.
//!
//! A client's request without an answer proves nothing: brokers leave some requests unanswered by
//! design. So if something was sent and nothing at all has arrived for a while, the connection is
//! probed with a request that every peer answers. Only when the probe is not answered either, the
//! connection counts as silent: it is broken, or its peer hangs.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::{Clock, Moment, TICK};

/// How long a connection may be without an answer before it is probed.
const SUSPICION: Duration = Duration::from_millis(1000);

/// The interval of probes of a quiet connection that has only long polls outstanding: these may
/// rightly be without an answer.
const POLLS_PROBED: Duration = Duration::from_secs(3);

/// How long the answer to a probe may take.
const PROBE_TIME: Duration = Duration::from_millis(1500);

/// A silent connection is closed after this time: a peer that only hangs may recover before.
const SILENCE_MAX: Duration = Duration::from_secs(6);

/// Since when a connection waits for an answer, and whether it was probed.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// When the first request was sent since something arrived.
    asked: Cell<Option<Moment>>,
    /// When the probe was sent whose answer is awaited.
    probed: Cell<Option<Moment>>,
    silent: Cell<bool>,
    /// Ticks since something arrived.
    quiet: Cell<u32>,
}

/// The action to take for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Treatment {
    /// No action.
    Leave,
    /// Send a request that every broker and name server answers.
    Probe,
    /// It has just been found silent: requests must use another connection.
    Replace,
    /// It has been silent for too long: close it.
    End,
}

impl Health {
    /// Records that a request was sent.
    #[inline]
    pub(crate) fn asked(&self, clock: &Clock) {
        if self.asked.get().is_none() {
            self.asked.set(Some(clock.now()));
        }
    }

    /// Records that something arrived. Returns true when the connection had been found silent.
    #[inline]
    pub(crate) fn heard(&self) -> bool {
        self.asked.set(None);
        self.probed.set(None);
        self.quiet.set(0);
        self.silent.replace(false)
    }

    /// Restarts the peer's time: the request is still being written.
    pub(crate) fn postpone(&self, clock: &Clock) {
        if !self.silent.get() && self.asked.get().is_some() {
            self.asked.set(Some(clock.now()));
            self.probed.set(None);
        }
    }

    /// Whether a request was sent and nothing has arrived since.
    pub(crate) fn is_waiting(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Whether a probe was not answered.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent.get()
    }

    /// Must be called with each tick of the clock while something is outstanding.
    pub(crate) fn check(&self, clock: &Clock) -> Treatment {
        let Some(asked) = self.asked.get() else {
            self.quiet.set(self.quiet.get() + 1);
            if TICK * self.quiet.get() < POLLS_PROBED {
                return Treatment::Leave;
            }
            self.asked.set(Some(clock.now()));
            self.probed.set(Some(clock.now()));
            return Treatment::Probe;
        };
        let Some(probed) = self.probed.get() else {
            if clock.since(asked) < SUSPICION {
                return Treatment::Leave;
            }
            self.probed.set(Some(clock.now()));
            return Treatment::Probe;
        };
        match clock.since(probed) {
            time if time < PROBE_TIME => Treatment::Leave,
            time if time >= SILENCE_MAX => Treatment::End,
            _ if !self.silent.replace(true) => Treatment::Replace,
            _ => Treatment::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The actions within that number of ticks, each with its tick.
    fn treat(health: &Health, clock: &Clock, ticks: u32) -> Vec<(u32, Treatment)> {
        let treated = (1..=ticks).map(|tick| {
            clock.tick();
            (tick, health.check(clock))
        });
        treated.filter(|(_, it)| *it != Treatment::Leave).collect()
    }

    #[test]
    fn silent_connections_are_probed_replaced_and_closed() {
        let (health, clock) = (Health::default(), Clock::default());
        let per_second = (Duration::from_secs(1).as_millis() / TICK.as_millis()) as u32;
        health.asked(&clock);
        let treated = treat(&health, &clock, 7 * per_second);
        assert_eq!(
            treated,
            [
                (per_second, Treatment::Probe),
                (per_second * 5 / 2, Treatment::Replace),
                (per_second * 7, Treatment::End),
            ]
        );
        assert!(health.is_silent());
    }

    #[test]
    fn connections_with_polls_only_are_probed_too() {
        let (health, clock) = (Health::default(), Clock::default());
        let per_second = (Duration::from_secs(1).as_millis() / TICK.as_millis()) as u32;
        for _ in 0..10 {
            let treated = treat(&health, &clock, 3 * per_second);
            assert_eq!(treated, [(3 * per_second, Treatment::Probe)]);
            assert!(!health.heard());
        }
        let treated = treat(&health, &clock, 5 * per_second);
        let replaced = (per_second * 9 / 2, Treatment::Replace);
        assert_eq!(treated, [(3 * per_second, Treatment::Probe), replaced]);
    }

    #[test]
    fn requests_that_are_still_being_written_get_time() {
        let (health, clock) = (Health::default(), Clock::default());
        health.asked(&clock);
        let per_second = (Duration::from_secs(1).as_millis() / TICK.as_millis()) as u32;
        treat(&health, &clock, 2 * per_second);
        health.postpone(&clock);
        let replaced = (per_second * 5 / 2, Treatment::Replace);
        let treated = treat(&health, &clock, 3 * per_second);
        assert_eq!(treated, [(per_second, Treatment::Probe), replaced]);
        // Once it is silent, only bytes that arrive count.
        health.postpone(&clock);
        assert!(health.is_silent());
    }

    #[test]
    fn any_arriving_bytes_show_that_a_connection_is_alive() {
        let (health, clock) = (Health::default(), Clock::default());
        for _ in 0..100 {
            health.asked(&clock);
            let treated = treat(&health, &clock, 40);
            assert!(!treated.iter().any(|(_, it)| *it == Treatment::Replace));
            assert!(!health.heard());
        }
        health.asked(&clock);
        treat(&health, &clock, 60);
        assert!(health.heard() && !health.is_silent());
    }
}
