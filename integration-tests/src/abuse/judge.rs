//! Attacks, and what healthy clients may notice of them.

use std::{thread, time::Duration};

use anyhow::{Result, bail, ensure};
use tokio::time::Instant;

use super::{
    healthy::Healthy,
    measure::{Kind, Summary},
    results::Outcome,
};

/// How many of a hundred requests of healthy clients must succeed.
pub(super) const OK_PERCENT: f64 = 95.0;
/// By how much all but one in a hundred of their requests may take longer than before.
const SLOWER: f64 = 3.0;
/// Or than directly in the same seconds: two servers wait for the machine where one does then.
const AS_DIRECTLY: f64 = 1.5;
/// What may come on top: a machine of two cores has other things to do.
const FLOOR: Duration = Duration::from_millis(20);
/// How often an attack is made whose only fault is time. Of the 120 pulls of one, p99 is the second
/// slowest: two moments in which the machine has others to serve. What the proxy is slow at, it is
/// slow at each time.
const TRIES: usize = 3;
/// How long healthy clients are measured before an attack.
const BEFORE: Duration = Duration::from_secs(1);
/// What they must be like then: on a machine that is too busy for that, nothing can be judged. So
/// often it is tried.
const CALM_P99: Duration = Duration::from_millis(50);
const CALM_TRIES: usize = 20;
/// An attack, and what is judged beside the usual.
#[derive(Clone, Debug)]
pub struct Attack {
    /// Its name.
    pub name: String,
    /// The row of the table of attacks.
    pub row: &'static str,
    /// What the attack does, in words.
    pub what: &'static str,
    /// How long it lasts; then all of its connections end.
    pub time: Duration,
    /// How long any healthy send may take, where one in a hundred is not the point.
    pub longest: Option<Duration>,
    /// How many requests of healthy clients may fail, where five of a hundred are not the point.
    pub failures: Option<usize>,
}

impl Attack {
    /// One that lasts three seconds.
    #[must_use]
    pub fn new(name: impl Into<String>, row: &'static str, what: &'static str) -> Self {
        Self {
            name: name.into(),
            row,
            what,
            time: Duration::from_secs(3),
            longest: None,
            failures: None,
        }
    }

    /// The same attack for that time.
    #[must_use]
    pub fn lasting(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// One during which no more requests may fail than that.
    #[must_use]
    pub fn failures(self, failures: usize) -> Self {
        Self {
            failures: Some(failures),
            ..self
        }
    }

    /// One during which no send may take longer.
    #[must_use]
    pub fn longest(self, longest: Duration) -> Self {
        Self {
            longest: Some(longest),
            ..self
        }
    }
}

/// Makes an attack, and makes it again when time is all that does not hold. The outcome is that of
/// the last try.
///
/// # Errors
/// When it cannot be made.
pub fn attempt(mut make: impl FnMut(usize) -> Result<Outcome>) -> Result<Outcome> {
    let mut tried = 1;
    loop {
        let mut outcome = make(tried)?;
        outcome.tries = tried;
        if tried == TRIES || outcome.slow.is_empty() || !outcome.broken.is_empty() {
            return Ok(outcome);
        }
        tried += 1;
    }
}

/// Fails when something that must hold does not.
///
/// # Errors
/// What that is.
pub fn verdict(outcome: &Outcome) -> Result<()> {
    let faults: Vec<&str> = outcome.faults().collect();
    if faults.is_empty() {
        return Ok(());
    }
    bail!("{}\n{:?}", faults.join("\n"), outcome.healthy)
}

/// Measures healthy clients until they are well; answers since when they are.
pub(super) fn wait_calm(healthy: &Healthy) -> Result<Instant> {
    for _ in 0..CALM_TRIES {
        let from = Instant::now();
        thread::sleep(BEFORE);
        let sends = healthy.summary(Kind::Send, from, Instant::now());
        if sends.ok_percent() >= 99.0 && sends.p99 <= CALM_P99 {
            return Ok(from);
        }
    }
    bail!("the machine is too busy: healthy clients are slow without any attack")
}

pub(super) fn judge_healthy(
    outcome: &mut Outcome,
    attack: &Attack,
    healthy: &Healthy,
    [from, begun, over]: [Instant; 3],
) {
    for kind in Kind::ALL {
        let before = healthy.summary(kind, from, begun);
        let during = healthy.summary(kind, begun, over);
        outcome.healthy.push((kind.name(), before, during));
    }
    for kind in Kind::PROXIED {
        let before = healthy.summary(kind, from, begun);
        let during = healthy.summary(kind, begun, over);
        let direct = healthy.summary(kind.directly(), begun, over);
        let slowest = healthy.summary(Kind::Direct, begun, over).p99;
        let direct = Summary {
            p99: direct.p99.max(slowest),
            ..direct
        };
        if let Err(e) = judge_answers(kind, attack, &during, &direct) {
            outcome.broken.push(format!("{e:#}"));
        }
        if let Err(e) = judge_time(kind, attack, &before, &during, &direct) {
            outcome.slow.push(format!("{e:#}"));
        }
        let strict = (before.p99 * 3).max(direct.p99) >= during.p99;
        outcome.strict = Some(strict && outcome.strict.unwrap_or(true));
    }
}

fn judge_answers(kind: Kind, attack: &Attack, during: &Summary, direct: &Summary) -> Result<()> {
    let name = kind.name();
    // A machine that is too busy for those that are connected directly is too busy for others.
    ensure!(
        during.ok_percent() >= OK_PERCENT.min(direct.ok_percent() - 1.0),
        "{} of {} {name} were ok",
        during.ok,
        during.due
    );
    if let Some(most) = attack.failures {
        let failed = during.due - during.ok;
        ensure!(failed <= most, "{failed} {name} failed");
    }
    Ok(())
}

fn judge_time(
    kind: Kind,
    attack: &Attack,
    before: &Summary,
    during: &Summary,
    direct: &Summary,
) -> Result<()> {
    let limit = before
        .p99
        .mul_f64(SLOWER)
        .max(direct.p99.mul_f64(AS_DIRECTLY))
        + FLOOR;
    ensure!(
        during.p99 <= limit,
        "p99 of {} {:.1?}, may be {limit:.1?}",
        kind.name(),
        during.p99
    );
    if let (Kind::Send, Some(longest)) = (kind, attack.longest) {
        let limit = longest.max(2 * direct.longest).max(2 * before.longest);
        ensure!(
            during.longest <= limit,
            "the longest send took {:.0?}, may take {limit:.0?}",
            during.longest
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(broken: &[&str], slow: &[&str]) -> Outcome {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Outcome {
            broken: own(broken),
            slow: own(slow),
            ..Outcome::default()
        }
    }

    fn tries(of: &[Outcome]) -> (usize, bool) {
        let last = attempt(|nth| Ok(of[nth - 1].clone())).unwrap();
        (last.tries, verdict(&last).is_ok())
    }

    #[test]
    fn only_what_is_slow_is_tried_again() {
        let (well, slow) = (outcome(&[], &[]), outcome(&[], &["p99"]));
        let broken = outcome(&["panicked"], &["p99"]);
        assert_eq!(
            tries(&[slow.clone(), slow.clone(), well.clone()]),
            (3, true)
        );
        assert_eq!(tries(&[well, broken.clone()]), (1, true));
        assert_eq!(
            tries(&[slow.clone(), slow.clone(), slow.clone()]),
            (3, false)
        );
        assert_eq!(tries(&[slow, broken]), (2, false));
    }

    #[test]
    fn time_is_compared_with_before_and_with_direct_clients() {
        let took = |millis| Summary {
            p99: Duration::from_millis(millis),
            ..Summary::default()
        };
        let attack = Attack::new("a", "1", "b");
        let judged = |before, during, direct| {
            let kind = Kind::Pull;
            judge_time(kind, &attack, &took(before), &took(during), &took(direct)).is_ok()
        };
        assert!(judged(10, 50, 5) && !judged(10, 51, 5));
        assert!(judged(1, 80, 40) && !judged(1, 81, 40));
    }
}
