//! What becomes of messages that were pulled: one request for all, with a result for each.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;

use super::problem::{Problem, Word};
use super::read::{self, Bounded, Object, shown};
use super::time::Span;

/// Most handles of a request.
pub const SETTLED_MAX: usize = 1024;

/// After how long a message that was not consumed is delivered again, unless the client says so.
const NACK_DELAY: Duration = Duration::from_secs(10);

/// The longest delay and invisible time, that of the Java proxy (`maxInvisibleTimeMills`).
const LONGEST: Duration = Duration::from_hours(12);

/// The shortest invisible time that a message is extended to.
const EXTEND_MIN: Duration = Duration::from_secs(1);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// It was consumed.
    Ack,
    /// It was not: it is delivered again after that time, and that counts as an attempt.
    Nack(Duration),
    /// It is being consumed: it stays invisible for that time from now on.
    Extend(Duration),
    /// It is given up: it becomes a dead letter.
    DeadLetter,
}

impl Action {
    /// Its name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Nack(_) => "nack",
            Self::Extend(_) => "extend",
            Self::DeadLetter => "deadLetter",
        }
    }
}

/// What becomes of the message of a handle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settlement {
    /// The handle, as the client has sent it.
    pub handle: String,
    /// What becomes of it.
    pub action: Action,
}

/// The result of a settlement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settled {
    /// What was asked for.
    pub settlement: Settlement,
    /// The new handle of a message that was extended, or why nothing was done.
    pub result: Result<Option<String>, Problem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    acks: Bounded<String, SETTLED_MAX>,
    #[serde(default)]
    nacks: Bounded<Object<Nack>, SETTLED_MAX>,
    #[serde(default)]
    extends: Bounded<Object<Extend>, SETTLED_MAX>,
    #[serde(default)]
    dead_letters: Bounded<String, SETTLED_MAX>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nack {
    handle: String,
    #[serde(default = "nack_delay")]
    delay: Span,
}

fn nack_delay() -> Span {
    Span(NACK_DELAY)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extend {
    handle: String,
    invisible: Span,
}

/// Reads the request: what becomes of each message, in the order of acks, nacks, extends and dead
/// letters.
///
/// # Errors
/// When it is malformed, names no handle, too many, or one twice: of two contrary wishes, none
/// would be right.
pub fn read_settlement(body: &[u8]) -> Result<Vec<Settlement>, Problem> {
    let Object::<Document>(document) = read::json(body, "the body")?;
    let all = [
        document.acks.0.len(),
        document.nacks.0.len(),
        document.extends.0.len(),
        document.dead_letters.0.len(),
    ];
    let count: usize = all.into_iter().sum();
    if count == 0 {
        let detail = "the body names no handle: send some in acks, nacks, extends or deadLetters";
        return Err(Problem::new(Word::InvalidBody, detail));
    }
    if count > SETTLED_MAX {
        let detail = format!("the body names more than {SETTLED_MAX} handles");
        return Err(Problem::new(Word::InvalidBody, detail));
    }
    let mut settlements = Vec::with_capacity(count);
    let mut push = |handle, action| settlements.push(Settlement { handle, action });
    for handle in document.acks.0 {
        push(handle, Action::Ack);
    }
    for Object(Nack { handle, delay }) in document.nacks.0 {
        let delay = within(delay, Duration::ZERO, "nacks delay")?;
        push(handle, Action::Nack(delay));
    }
    for Object(Extend { handle, invisible }) in document.extends.0 {
        let invisible = within(invisible, EXTEND_MIN, "extends invisible")?;
        push(handle, Action::Extend(invisible));
    }
    for handle in document.dead_letters.0 {
        push(handle, Action::DeadLetter);
    }
    let mut seen = HashSet::with_capacity(count);
    for settlement in &settlements {
        if !seen.insert(&*settlement.handle) {
            let handle = shown(&settlement.handle);
            let detail = format!("the handle {handle} is there twice: say one thing about it");
            return Err(Problem::invalid(detail).of("handle"));
        }
    }
    Ok(settlements)
}

fn within(span: Span, least: Duration, parameter: &str) -> Result<Duration, Problem> {
    match (least..=LONGEST).contains(&span.0) {
        true => Ok(span.0),
        false => {
            let (least, most) = (Span(least), Span(LONGEST));
            let detail = format!("{parameter} must be {least} to {most}; it is {span}");
            Err(Problem::invalid(detail).of(parameter))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settlements_are_read() {
        let body = br#"{"acks":["a","b"],"nacks":[{"handle":"c","delay":"5s"},{"handle":"d"}],
            "extends":[{"handle":"e","invisible":"2m"}],"deadLetters":["f"]}"#;
        let read = read_settlement(body).unwrap();
        let read: Vec<_> = read.iter().map(|one| (&*one.handle, one.action)).collect();
        let expected = [
            ("a", Action::Ack),
            ("b", Action::Ack),
            ("c", Action::Nack(Duration::from_secs(5))),
            ("d", Action::Nack(NACK_DELAY)),
            ("e", Action::Extend(Duration::from_secs(120))),
            ("f", Action::DeadLetter),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn contrary_wishes_are_refused() {
        for (body, word) in [
            (r#"{"acks":["a"],"nacks":[{"handle":"a"}]}"#, Word::Invalid),
            (r#"{"acks":["a","a"]}"#, Word::Invalid),
            (
                r#"{"extends":[{"handle":"a","invisible":"1s"}],"deadLetters":["a"]}"#,
                Word::Invalid,
            ),
            (r#"{"nacks":[{"handle":"a","delay":"13h"}]}"#, Word::Invalid),
            (
                r#"{"extends":[{"handle":"a","invisible":"0s"}]}"#,
                Word::Invalid,
            ),
            (r#"{"extends":[{"handle":"a"}]}"#, Word::InvalidBody),
            (r#"{"nacks":[["a","5s"]]}"#, Word::InvalidBody),
            (r#"{"nacks":["a"]}"#, Word::InvalidBody),
            (r#"{"acks":[1]}"#, Word::InvalidBody),
            (r#"{"acks":["a"],"more":[]}"#, Word::InvalidBody),
            ("{}", Word::InvalidBody),
            ("[]", Word::InvalidBody),
            ("", Word::InvalidBody),
        ] {
            assert_eq!(
                read_settlement(body.as_bytes()).unwrap_err().word,
                word,
                "{body}"
            );
        }
    }

    #[test]
    fn handles_are_counted_over_all_lists() {
        let many = |from: usize, count: usize| {
            let handles: Vec<_> = (from..from + count)
                .map(|nth| format!("\"{nth}\""))
                .collect();
            handles.join(",")
        };
        let body = |acks, dead| {
            let (acks, dead) = (many(0, acks), many(2_000, dead));
            format!("{{\"acks\":[{acks}],\"deadLetters\":[{dead}]}}")
        };
        assert_eq!(
            read_settlement(body(1_000, 24).as_bytes()).unwrap().len(),
            1_024
        );
        for (acks, dead) in [(1_000, 25), (1_025, 0)] {
            let read = read_settlement(body(acks, dead).as_bytes());
            assert_eq!(read.unwrap_err().word, Word::InvalidBody);
        }
    }
}
