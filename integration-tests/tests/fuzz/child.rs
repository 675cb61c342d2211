//! The process that tries a target.

#![allow(
    clippy::disallowed_types,
    reason = "the time that a target takes is the system's"
)]

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use integration_tests::{corpus, workspace::target_dir};
use parking_lot::Mutex;

use crate::mutate::mutate;
use crate::random::Random;
use crate::{Target, number, shorten};

/// How a process ends that has found something.
pub(crate) const FAILED: u8 = 1;

/// Longest time that an input may take: some thousand times what any takes on a machine that does
/// nothing else.
const HANG: Duration = Duration::from_secs(10);

/// Most inputs from which others are made.
const POOL: usize = 4_000;

/// How many inputs are made from one before another is taken.
const MADE_AT_ONCE: usize = 32;

/// The stack on which a target runs: an eighth of a worker's, because inputs here are shorter than
/// those that a client or broker may send.
const STACK: usize = 256 * 1024;

/// Tries the target on its corpus, and then on what is made of that, until its time is over.
pub(crate) fn run(target: &'static Target) -> Result<()> {
    let thread = thread::Builder::new().stack_size(STACK);
    let tries = thread.spawn(|| try_all(target))?;
    tries
        .join()
        .unwrap_or_else(|_| bail!("a fault in the test itself"))
}

fn try_all(target: &Target) -> Result<()> {
    let time = Duration::from_secs(number("REMORA_IT_FUZZ_SECONDS", 0)?);
    let seed = number("REMORA_IT_SEED", 1)?;
    let mut tries = Tries::new(target)?;
    let mut pool = corpus::read(target.name)?;
    pool.extend((target.seeds)());
    let mut outcomes = HashSet::new();
    for input in &pool {
        outcomes.insert(tries.input(input)?);
    }
    let known = outcomes.len();
    let begin = Instant::now();
    let mut random = Random(seed);
    while begin.elapsed() < time {
        for _ in 0..MADE_AT_ONCE {
            let input = match target.generate {
                Some(generate) if random.once_in(4) || pool.is_empty() => generate(&mut random),
                _ => {
                    let mut input = pool
                        .get(random.below(pool.len()))
                        .cloned()
                        .unwrap_or_default();
                    let other = pool.get(random.below(pool.len()));
                    let other = other.map(Vec::as_slice).unwrap_or_default();
                    mutate(&mut random, &mut input, other, target.tokens);
                    input
                }
            };
            if input.len() <= target.longest && outcomes.insert(tries.input(&input)?) {
                let at = if pool.len() < POOL {
                    pool.push(Vec::new());
                    pool.len() - 1
                } else {
                    random.below(POOL)
                };
                pool[at] = input;
            }
        }
    }
    if !time.is_zero() {
        eprintln!(
            "{}: {} inputs in {} s from REMORA_IT_SEED={seed} on, {} outcomes, {known} of them from the corpus",
            target.name,
            tries.count,
            time.as_secs(),
            outcomes.len(),
        );
    }
    Ok(())
}

/// Tries inputs one by one.
struct Tries<'a> {
    target: &'a Target,
    /// Where an input is before it is tried.
    file: File,
    /// The number of the input that is being tried; 0 in between.
    trying: Arc<AtomicU64>,
    /// The text of the last panic.
    panic_text: Arc<Mutex<String>>,
    count: u64,
}

impl<'a> Tries<'a> {
    fn new(target: &'a Target) -> Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(last_tried_file(target.name)?)?;
        let panic_text = Arc::new(Mutex::new(String::new()));
        let to_say = panic_text.clone();
        panic::set_hook(Box::new(move |panic| *to_say.lock() = panic.to_string()));
        let trying = Arc::new(AtomicU64::new(0));
        let watched = trying.clone();
        let name = target.name;
        thread::spawn(move || watch(name, &watched));
        Ok(Self {
            target,
            file,
            trying,
            panic_text,
            count: 0,
        })
    }

    /// What an input leads to. One that fails is made shorter and kept.
    fn input(&mut self, input: &[u8]) -> Result<u64> {
        let panic_text = match self.attempt(input)? {
            Ok(outcome) => return Ok(outcome),
            Err(panic_text) => panic_text,
        };
        let mut fails = |shorter: &[u8]| matches!(self.attempt(shorter), Ok(Err(_)));
        let shorter = shorten::shorten(input, &mut fails);
        let last = self.attempt(&shorter)?.err().unwrap_or(panic_text);
        bail!(
            "{last}\non this input:\n{}",
            corpus::keep(self.target.name, &shorter)?
        )
    }

    /// Tries an input; the inner error is the text of a panic.
    fn attempt(&mut self, input: &[u8]) -> Result<Result<u64, String>> {
        self.count += 1;
        let length = (input.len() as u32).to_be_bytes();
        self.file.write_all_at(&[&length, input].concat(), 0)?;
        self.trying.store(self.count, Ordering::Relaxed);
        let run = self.target.run;
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(input)));
        self.trying.store(0, Ordering::Relaxed);
        let text = std::mem::take(&mut *self.panic_text.lock());
        Ok(match outcome {
            // A task that panics ends nothing but itself.
            Ok(outcome) if text.is_empty() => Ok(outcome),
            _ => Err(text),
        })
    }
}

/// Ends the process when an input takes too long.
fn watch(target: &str, trying: &AtomicU64) {
    let mut seen = (0, Instant::now());
    loop {
        thread::sleep(Duration::from_millis(100));
        let now = trying.load(Ordering::Relaxed);
        if now != seen.0 || now == 0 {
            seen = (now, Instant::now());
        } else if seen.1.elapsed() > HANG {
            let kept = last_tried(target).and_then(|input| corpus::keep(target, &input));
            let kept = kept.unwrap_or_else(|error| format!("which cannot be kept: {error:#}"));
            eprintln!("an input takes longer than {HANG:?}:\n{kept}");
            process::exit(i32::from(FAILED));
        }
    }
}

/// The file into which a target's process writes each input before it tries it.
fn last_tried_file(target: &str) -> Result<PathBuf> {
    let dir = target_dir().join("fuzz");
    fs::create_dir_all(&dir)?;
    Ok(dir.join(target))
}

/// What a target's process has tried last: its length in four bytes, and the input.
pub(crate) fn last_tried(target: &str) -> Result<Vec<u8>> {
    let bytes = fs::read(last_tried_file(target)?)?;
    let (length, rest) = bytes.split_first_chunk().context("it has tried nothing")?;
    let input = rest.get(..u32::from_be_bytes(*length) as usize);
    Ok(input.context("only part of the input is there")?.to_vec())
}
