//! The judge: the real decoders of brokers beside ours, on made-up headers of both kinds, on those
//! that `tests/fuzz` keeps, and on what is made of these.
//!
//! - What we pass on, the decoders of all versions read, and read as we do.
//! - What the newest takes, we take, and read as it does; but for the forms that decision 0010
//!   lists. Those that only a limit of ours refuses are counted.
//!
//! `REMORA_IT_HEADERS` is how many headers are tried, `REMORA_IT_SEED` where they begin.

#![allow(clippy::indexing_slicing, clippy::print_stderr, reason = "a test")]

mod brokers;
mod generate;
#[path = "../fuzz/mutate.rs"]
mod mutate;
mod random;

use std::env;

use anyhow::{Context, Result, bail};
use integration_tests::corpus;
use remoting_codec::{CommandView, DecodeError};
use serde::de::IgnoredAny;

use crate::brokers::{Brokers, Reading, VERSIONS};
use crate::mutate::mutate;
use crate::random::Random;

/// Headers that are tried unless more are asked for.
const HEADERS: usize = 1_000_000;

/// The seed of an ordinary run; `make judge` takes another each time.
const SEED: u64 = 1 << 32;

/// Headers in one batch.
const BATCH: usize = 2_000;

/// Longest header that is made of those which are kept.
const LONGEST: usize = 8_192;

/// More than all opaques that a decoder makes up.
const MADE_UP: i32 = 100_000_000;

/// Most failures that are shown.
const SHOWN: usize = 10;

/// A header, and what we make of it.
struct Case {
    /// `None` for one that is kept in a corpus.
    seed: Option<u64>,
    frame: Vec<u8>,
    ours: Result<Reading, DecodeError>,
    /// What we pass on, under another opaque.
    passed_on: Vec<u8>,
}

/// Under which everything is passed on.
const OPAQUE: i32 = -1_234_567_890;

impl Case {
    fn new(seed: u64, kept: &[Vec<u8>]) -> Self {
        let mut random = Random(seed);
        let frame = match random.once_in(3) {
            true => spoilt(&mut random, kept),
            false => generate::frame(&mut random),
        };
        Self::of(Some(seed), frame)
    }

    fn of(seed: Option<u64>, frame: Vec<u8>) -> Self {
        let mut whole = (frame.len() as u32).to_be_bytes().to_vec();
        whole.extend_from_slice(&frame);
        let mut passed_on = Vec::new();
        let ours = CommandView::decode(&whole).map(|view| {
            view.encode_head_with_opaque(OPAQUE, &mut passed_on);
            passed_on.extend_from_slice(view.body());
            reading(&view)
        });
        // The length field.
        passed_on.drain(..passed_on.len().min(4));
        Self {
            seed,
            frame,
            ours,
            passed_on,
        }
    }

    fn header(&self) -> &[u8] {
        header_of(&self.frame)
    }

    fn is_json(&self) -> bool {
        self.frame[0] == 0
    }

    /// Why these readings are wrong; first the newest's of the frame, then all of what was passed
    /// on.
    fn judge(&self, direct: Option<&Reading>, passed_on: &[Option<Reading>]) -> Result<(), String> {
        let ours = match &self.ours {
            Ok(ours) => ours,
            Err(error) => {
                return match direct {
                    Some(theirs) if !self.may_refuse(*error) => {
                        Err(format!("refused: {error}\n theirs {theirs:?}"))
                    }
                    _ => Ok(()),
                };
            }
        };
        for (version, theirs) in VERSIONS.iter().zip(passed_on) {
            let Some(theirs) = theirs else {
                return Err(format!(
                    "{version} cannot read what is passed on\n ours {ours:?}"
                ));
            };
            let expected = Reading {
                opaque: OPAQUE,
                ..ours.clone()
            };
            if !self.is_same(theirs, &expected) {
                return Err(format!(
                    "{version} reads what is passed on otherwise\n ours   {ours:?}\n theirs {theirs:?}"
                ));
            }
        }
        match direct {
            Some(theirs) if !self.is_same(theirs, ours) => Err(format!(
                "read otherwise\n ours   {ours:?}\n theirs {theirs:?}"
            )),
            _ => Ok(()),
        }
    }

    /// Whether a header that the newest takes may be refused for that reason: see decision 0010.
    fn may_refuse(&self, error: DecodeError) -> bool {
        match error {
            DecodeError::AmbiguousKey(_)
            | DecodeError::AmbiguousNumber(_)
            | DecodeError::NotText => true,
            _ if is_limit(error) => true,
            // An object or an array where a number of the head is wanted.
            DecodeError::NotANumber(_) => true,
            _ => self.is_json() && serde_json::from_slice::<IgnoredAny>(self.header()).is_err(),
        }
    }

    fn is_same(&self, theirs: &Reading, ours: &Reading) -> bool {
        let code = match (self.is_json(), theirs.code) {
            (false, 3442..=3448 | 3543) => theirs.code + (3 << 16),
            (_, code) => code,
        };
        // Where there is none, a broker counts its own commands.
        let is_made_up = ours.opaque == 0 && (0..MADE_UP).contains(&theirs.opaque);
        // Not all versions know all languages, and an unknown one is none.
        let language =
            theirs.language == -1 || ours.language >= 12 || theirs.language == ours.language;
        code == ours.code
            && theirs.flag == ours.flag
            && (theirs.opaque == ours.opaque || is_made_up)
            && theirs.version == ours.version
            && language
            && is_same_text(&theirs.remark, &ours.remark)
            && theirs.ext_fields.len() == ours.ext_fields.len()
            && theirs
                .ext_fields
                .iter()
                .zip(&ours.ext_fields)
                .all(|(theirs, ours)| theirs.0 == ours.0 && is_same_text(theirs.1, ours.1))
            && theirs.body == ours.body
    }
}

/// Whether what is refused for that reason is only more than we read of one header.
fn is_limit(error: DecodeError) -> bool {
    matches!(error, DecodeError::TooDeep(_) | DecodeError::TooMuch(_))
}

/// Whether two texts are the same, but for how a `double` in them is written: that depends on the
/// version of Java.
fn is_same_text(theirs: &str, ours: &str) -> bool {
    let doubles = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+' | 'E'));
        let number = |part: &str| match part.parse::<f64>() {
            Ok(number) if part.contains(['.', 'E']) => number.to_string(),
            _ => part.to_owned(),
        };
        parts.map(number).collect()
    };
    theirs == ours || theirs.contains('.') && doubles(theirs) == doubles(ours)
}

fn reading(view: &CommandView<'_>) -> Reading {
    let mut ext_fields = std::collections::BTreeMap::new();
    view.ext_fields().visit(|key, value| {
        ext_fields.insert(key.to_owned(), value.text().into_owned());
    });
    Reading {
        code: view.code(),
        flag: view.flag(),
        opaque: view.opaque().0,
        version: view.version().0,
        language: i32::from(view.language().0),
        remark: view.remark().into_owned(),
        ext_fields,
        body: view.body().to_vec(),
    }
}

/// The header of a frame without its length field.
fn header_of(frame: &[u8]) -> &[u8] {
    let length = u32::from_be_bytes([0, frame[1], frame[2], frame[3]]);
    &frame[4..4 + length as usize]
}

/// A frame without its length field.
fn frame(kind: u8, header: &[u8]) -> Vec<u8> {
    let word = u32::from(kind) << 24 | header.len() as u32;
    [&word.to_be_bytes(), header, b"a body"].concat()
}

/// The headers that `tests/fuzz` keeps, in frames.
fn kept_headers() -> Result<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    for (target, kind) in [("json-header", 0), ("binary-header", 1)] {
        let headers = corpus::read(target)?;
        frames.extend(headers.iter().map(|header| frame(kind, header)));
    }
    Ok(frames)
}

/// One of those headers, changed in some places.
fn spoilt(random: &mut Random, kept: &[Vec<u8>]) -> Vec<u8> {
    let original = &kept[random.below(kept.len())];
    let other = &kept[random.below(kept.len())];
    let mut header = header_of(original).to_vec();
    mutate(random, &mut header, header_of(other), &generate::TOKENS);
    header.truncate(LONGEST);
    frame(original[0], &header)
}

fn number(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is no number")),
        Err(_) => Ok(default),
    }
}

#[test]
fn headers_are_read_as_brokers_read_them_and_passed_on_so_that_all_do() -> Result<()> {
    let headers = number("REMORA_IT_HEADERS", HEADERS as u64)? as usize;
    let seed = number("REMORA_IT_SEED", SEED)?;
    eprintln!("{headers} headers from REMORA_IT_SEED={seed} on");
    let mut brokers = Brokers::start()?;
    let (mut failed, mut excused, mut taken, mut taken_directly) = (0, 0, 0, 0);
    let mut asked: Option<Vec<Case>> = None;
    let kept = kept_headers()?;
    // Those as they are come first.
    let mut as_they_are = kept.iter().map(|frame| Case::of(None, frame.clone()));
    let mut next = 0;
    while next < headers || asked.is_some() {
        let size = BATCH.min(headers - next);
        let made_up = (next..next + size).map(|nth| Case::new(seed + nth as u64, &kept));
        let batch: Vec<Case> = as_they_are.by_ref().chain(made_up).collect();
        next += size;
        let mut questions = Vec::new();
        for case in &batch {
            questions.push((case.frame.clone(), 1));
            if case.ours.is_ok() {
                questions.push((case.passed_on.clone(), VERSIONS.len()));
            }
        }
        if !questions.is_empty() {
            brokers.ask(questions)?;
        }
        for case in asked.take().unwrap_or_default() {
            let direct = brokers.answer()?;
            let mut passed_on = Vec::new();
            if case.ours.is_ok() {
                for _ in VERSIONS {
                    passed_on.push(brokers.answer()?);
                }
            }
            taken += usize::from(case.ours.is_ok());
            taken_directly += usize::from(direct.is_some());
            let is_excused = direct.is_some() && case.ours.as_ref().is_err_and(|e| is_limit(*e));
            excused += usize::from(is_excused);
            if let Err(why) = case.judge(direct.as_ref(), &passed_on) {
                failed += 1;
                if failed <= SHOWN {
                    let hex: String = case
                        .frame
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect();
                    let header = String::from_utf8_lossy(case.header());
                    let on = String::from_utf8_lossy(&case.passed_on);
                    eprintln!(
                        "seed {:?}: {why}\n header {header}\n passed on {on:?}\n frame {hex}",
                        case.seed
                    );
                }
            }
        }
        asked = (!batch.is_empty()).then_some(batch);
    }
    eprintln!("{taken} were taken, {taken_directly} by the newest broker");
    eprintln!("{excused} that the newest took were over a limit of ours");
    // What is not taken proves little.
    if taken < headers / 4 {
        bail!("only {taken} of {headers} headers were taken");
    }
    if failed > 0 {
        bail!("{failed} of {headers} headers");
    }
    Ok(())
}
