//! Whether a connection is answered, judged by that connection alone.
//!
//! What clients asked and was not answered proves nothing: brokers leave some requests unanswered by design. So a
//! connection over which something was asked and nothing at all has been heard for a while is asked something that every
//! peer answers. Only when that, too, brings nothing is the connection silent: dead somewhere on its way, or its peer stands
//! still.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::{Clock, Moment, TICK};

/// How long a connection may say nothing after something was asked, before it is probed.
const SUSPICION: Duration = Duration::from_millis(1000);

/// How often a silent connection is probed that has long polls outstanding: a long poll without an answer proves nothing, and
/// nothing else may be asked.
const POLLS_PROBED: Duration = Duration::from_secs(3);

/// How long it may say nothing after the probe.
const PROBE_TIME: Duration = Duration::from_millis(1500);

/// A silent connection is ended after this: a peer that merely stands still may wake up before.
const SILENCE_MAX: Duration = Duration::from_secs(6);

/// What is known of a connection's health.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// When something was first asked since something was heard.
    asked: Cell<Option<Moment>>,
    /// When it was probed.
    probed: Cell<Option<Moment>>,
    silent: Cell<bool>,
    /// Ticks since something was heard.
    quiet: Cell<u32>,
}

/// What is to be done about a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Treatment {
    /// Nothing.
    Leave,
    /// Ask it something that is answered at once.
    Probe,
    /// It has just been found to be silent.
    Replace,
    /// It has been silent for long.
    End,
}

impl Health {
    /// Something was asked.
    #[inline]
    pub(crate) fn asked(&self, clock: &Clock) {
        if self.asked.get().is_none() {
            self.asked.set(Some(clock.now()));
        }
    }

    /// Something was heard. True when the connection had been found silent.
    #[inline]
    pub(crate) fn heard(&self) -> bool {
        self.asked.set(None);
        self.probed.set(None);
        self.quiet.set(0);
        self.silent.replace(false)
    }

    /// What was asked is still on its way: the peer is given its time from now on.
    pub(crate) fn postpone(&self, clock: &Clock) {
        if !self.silent.get() && self.asked.get().is_some() {
            self.asked.set(Some(clock.now()));
            self.probed.set(None);
        }
    }

    /// Whether something was asked and nothing heard since.
    pub(crate) fn is_waiting(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Whether it has been probed in vain.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent.get()
    }

    /// To be called with each tick of the clock while something is outstanding.
    pub(crate) fn look(&self, clock: &Clock) -> Treatment {
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

    /// What is done in so many ticks, and after which.
    fn treat(health: &Health, clock: &Clock, ticks: u32) -> Vec<(u32, Treatment)> {
        let treated = (1..=ticks).map(|tick| {
            clock.tick();
            (tick, health.look(clock))
        });
        treated.filter(|(_, it)| *it != Treatment::Leave).collect()
    }

    #[test]
    fn silence_is_noticed_probed_and_ended() {
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
    fn polls_alone_are_no_reason_to_believe_in_a_connection() {
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
    fn what_is_still_on_its_way_is_given_time() {
        let (health, clock) = (Health::default(), Clock::default());
        health.asked(&clock);
        let per_second = (Duration::from_secs(1).as_millis() / TICK.as_millis()) as u32;
        treat(&health, &clock, 2 * per_second);
        health.postpone(&clock);
        let replaced = (per_second * 5 / 2, Treatment::Replace);
        let treated = treat(&health, &clock, 3 * per_second);
        assert_eq!(treated, [(per_second, Treatment::Probe), replaced]);
        // Once it is silent, only what is heard counts.
        health.postpone(&clock);
        assert!(health.is_silent());
    }

    #[test]
    fn anything_that_is_heard_is_a_sign_of_life() {
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
