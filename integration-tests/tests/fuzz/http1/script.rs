//! Connections: the bytes that a client sends, and how.

use std::time::Duration;

use super::framing::{self, Asked, End};
use super::{TOKENS, requests};
use crate::random::Random;

/// Kinds of connections, beside the bytes that are under way at most (the lowest two bits).
const NEVER_READS: u8 = 0x04;
const IS_SILENT: u8 = 0x08;
const ENDS_BY_HALVES: u8 = 0x10;
const IS_MADE: u8 = 0x80;

/// Most bytes of a stream: more would take more time than they are worth.
const LONGEST: usize = 300_000;

/// Most requests that are made for one.
const MOST_MADE: usize = 40;

/// Starts an instruction within the bytes of a connection, with the one behind it. With another it
/// is a byte.
const INSTRUCTION: u8 = 1;

/// What a client does next.
pub(super) enum Step {
    Write(Vec<u8>),
    /// It sends nothing for this time.
    Wait(Duration),
    /// The proxy asks it to leave.
    Leave,
}

/// A connection.
pub(super) struct Script {
    /// Bytes that are under way at most.
    pub(super) capacity: usize,
    /// The client reads nothing.
    pub(super) never_reads: bool,
    /// Name servers do not answer at first. They are unreachable otherwise.
    pub(super) is_silent: bool,
    /// The client ends its half of the connection first, and reads on.
    pub(super) ends_by_halves: bool,
    /// Sizes of pieces.
    pub(super) random: Random,
    pub(super) steps: Vec<Step>,
    /// Bytes of all steps.
    pub(super) length: usize,
    /// Whether gzip is written in it: a short body may become a long one.
    pub(super) is_compressed: bool,
    /// Whether a request for another protocol, or for a tunnel, is written in it.
    pub(super) upgrades: bool,
    /// Whether the proxy asks the client to leave.
    pub(super) leaves: bool,
    /// Requests that the server may serve at most, in this order, and how they end.
    pub(super) asked: Vec<Asked>,
    pub(super) end: End,
    /// Whether all of them are well formed, so that the server must serve them.
    pub(super) is_made: bool,
}

impl Script {
    pub(super) fn read(input: &[u8]) -> Option<Self> {
        let (&kind, rest) = input.split_first()?;
        let (&seed, rest) = rest.split_first_chunk()?;
        let mut random = Random(u64::from_be_bytes(seed));
        let has = |option| kind & option != 0;
        let (steps, made) = match has(IS_MADE) {
            true => {
                let kinds = &rest[..rest.len().min(MOST_MADE)];
                let (bytes, asked) = requests::stream(kinds, &mut random);
                (vec![Step::Write(bytes)], Some(asked))
            }
            false => (steps(rest), None),
        };
        let mut stream = Vec::new();
        for step in &steps {
            if let Step::Write(bytes) = step {
                stream.extend_from_slice(bytes);
            }
        }
        let (asked, end) = framing::read(&stream);
        if let Some(made) = &made {
            assert_eq!((&asked, end.is_whole()), (made, true), "what was made");
        }
        let lower = stream.to_ascii_lowercase();
        let contains = |text: &[u8]| lower.windows(text.len()).any(|part| part == text);
        let capacity: usize = [65_536, 1 << 20, 1, 300][usize::from(kind % 4)];
        Some(Self {
            // Byte by byte, much takes long.
            capacity: capacity.max(stream.len() / 150),
            never_reads: has(NEVER_READS),
            is_silent: has(IS_SILENT),
            ends_by_halves: has(ENDS_BY_HALVES),
            random,
            length: stream.len(),
            is_compressed: contains(b"gzip"),
            upgrades: contains(b"upgrade") || contains(b"connect "),
            leaves: steps.iter().any(|step| matches!(step, Step::Leave)),
            steps,
            asked,
            end,
            is_made: made.is_some(),
        })
    }
}

/// The bytes of a connection, with instructions: `\x01R`, a number and a byte, which stands there
/// 256 times that number; `\x01W` and a number of half seconds to wait; `\x01L` to leave.
fn steps(mut rest: &[u8]) -> Vec<Step> {
    let (mut steps, mut out, mut length) = (Vec::new(), Vec::new(), 0);
    while let [first, more @ ..] = rest
        && length < LONGEST
    {
        let before = out.len();
        let step = match rest {
            [INSTRUCTION, b'R', times, byte, more @ ..] => {
                rest = more;
                out.resize(out.len() + 256 * usize::from(*times), *byte);
                None
            }
            [INSTRUCTION, b'W', halves, more @ ..] => {
                rest = more;
                Some(Step::Wait(Duration::from_millis(500 * u64::from(*halves))))
            }
            [INSTRUCTION, b'L', more @ ..] => {
                rest = more;
                Some(Step::Leave)
            }
            _ => {
                rest = more;
                out.push(*first);
                None
            }
        };
        length += out.len() - before;
        if let Some(step) = step {
            steps.push(Step::Write(std::mem::take(&mut out)));
            steps.push(step);
        }
    }
    steps.push(Step::Write(out));
    steps
}

/// A connection with a few requests; in one of three, all of them are well formed.
pub(super) fn generate(random: &mut Random) -> Vec<u8> {
    let is_made = random.once_in(3);
    let mut kind = random.next() as u8 & (3 | ENDS_BY_HALVES);
    for rare in [NEVER_READS, IS_SILENT] {
        kind |= if random.once_in(8) { rare } else { 0 };
    }
    let seed = random.next();
    // The end of a connection is rare among its requests.
    let kinds: Vec<u8> = (0..=random.below(8))
        .map(|_| random.next() as u8 & if random.once_in(6) { 0xff } else { 0xbf })
        .collect();
    let rest = if is_made {
        kind |= IS_MADE;
        kinds
    } else {
        let (mut bytes, _) = requests::stream(&kinds, &mut Random(seed));
        requests::spoil(&mut bytes, TOKENS, random);
        bytes
    };
    [&[kind][..], &seed.to_be_bytes(), &rest].concat()
}

/// A connection with a request of each kind, in each way; and one for each in chunks.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let ways = [0, 0x10, 0x20, 0x30, 0x80, 0x90];
    let kinds = |way: u8| (0..=u8::MAX).filter(move |kind| kind & 0xf0 == way);
    let head = |way| [IS_MADE, 0, 0, 0, 0, 0, 0, 0, way];
    let together = ways.map(|way| head(way).into_iter().chain(kinds(way)).collect());
    let chunked = ways.into_iter().filter(|way| way & requests::CHUNKED != 0);
    let alone =
        chunked.flat_map(|way| kinds(way).map(move |kind| [&head(way)[..], &[kind]].concat()));
    together.into_iter().chain(alone).collect()
}
