//! What a client writes over a connection: made of an input, part by part.

use std::time::Duration;

use grpc::Rpc;
use integration_tests::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, call_head, frame, lying,
};

use super::requests::request;
use crate::random::Random;

/// Most bytes of one connection: more would take more time than they are worth.
const LONGEST: usize = 400 * 1024;

/// The least memory that may be charged to a call or a client with a Telemetry stream, and to a
/// byte: one byte of a header block may stand for a header.
const PER_HEAD: usize = 24 * 1024;
const PER_BYTE: usize = 200;
const PER_FRAME: usize = 4 * 1024;

/// Options of a call.
const STAYS_OPEN: u8 = 0x01;
const IN_PIECES: u8 = 0x02;
const CONTINUED: u8 = 0x04;
const LACKS_A_BYTE: u8 = 0x08;
const IS_RESET: u8 = 0x10;
const WITH_TIMEOUT: u8 = 0x20;
const WITHOUT_CLIENT: u8 = 0x40;
const WITH_PADDING: u8 = 0x80;

/// The header that names the client.
const CLIENT: (&str, &str) = ("x-mq-client-id", "fuzz@1@0@a");

/// What a client does next.
pub(super) enum Step {
    Write(Vec<u8>),
    /// It waits for so long.
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
    pub(super) random: Random,
    pub(super) steps: Vec<Step>,
    /// Streams that must be answered as a whole, and the pings; `None` if the client breaks rules,
    /// or does not let itself be answered.
    pub(super) expected: Option<(Vec<u32>, usize)>,
    /// Bytes that may be charged to the connection at most, beside those of an idle one.
    pub(super) allowed: usize,
}

impl Script {
    pub(super) fn read(input: &[u8]) -> Option<Self> {
        let (&kind, rest) = input.split_first()?;
        let (&seed, mut rest) = rest.split_first_chunk()?;
        let mut random = Random(u64::from_be_bytes(seed));
        let mut writing = Writing::new(kind);
        while let [part, one, two, more @ ..] = rest
            && writing.length < LONGEST
        {
            let mut own = 0;
            if matches!(part % 10, 0 | 1 | 3 | 6 | 7 | 8) {
                own = usize::from(*two).min(more.len());
            }
            let (bytes, more) = more.split_at(own);
            rest = more;
            writing.part(part % 10, *one, *two, bytes, &mut random);
        }
        writing.flush();
        let capacity: usize = [65_536, 1 << 20, 1, 300][usize::from(kind % 4)];
        let never_reads = kind & 0x04 != 0;
        let is_silent = kind & 0x08 != 0;
        // To a server of HTTP/2, half an end is one: it answers no more.
        let ends_by_halves = kind & 0x40 != 0;
        let is_clean = writing.is_clean && !never_reads && !is_silent && !ends_by_halves;
        Some(Self {
            // Byte by byte, much takes long.
            capacity: capacity.max(writing.length / 150),
            never_reads,
            is_silent,
            ends_by_halves,
            random,
            steps: writing.steps,
            expected: is_clean.then_some((writing.calls, writing.pings)),
            allowed: writing.allowed,
        })
    }
}

/// A script that is being made.
struct Writing {
    out: Vec<u8>,
    steps: Vec<Step>,
    length: usize,
    next: u32,
    /// Whether everything so far was as the protocols demand.
    is_clean: bool,
    calls: Vec<u32>,
    pings: usize,
    allowed: usize,
}

impl Writing {
    fn new(kind: u8) -> Self {
        let mut this = Self {
            out: Vec::new(),
            steps: Vec::new(),
            length: 0,
            next: 1,
            is_clean: true,
            calls: Vec::new(),
            pings: 0,
            allowed: 64 * 1024,
        };
        if kind & 0x20 != 0 {
            this.is_clean = false;
        } else {
            this.out.extend_from_slice(PREFACE);
        }
        if kind & 0x10 != 0 {
            // Streams on which nothing may be sent.
            frame(&mut this.out, SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
            this.is_clean = false;
        } else {
            frame(&mut this.out, SETTINGS, 0, 0, &[]);
        }
        this
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            self.length += self.out.len();
            self.steps.push(Step::Write(std::mem::take(&mut self.out)));
        }
    }

    fn part(&mut self, part: u8, one: u8, two: u8, bytes: &[u8], random: &mut Random) {
        let breaks_rules = matches!(part, 0 | 1 | 6..=9) || part == 4 && !one.is_multiple_of(8);
        self.is_clean &= !breaks_rules;
        match part {
            // A frame, on one of the first streams or on the connection.
            0 => {
                let stream = bytes.first().map_or(0, |byte| u32::from(byte % 16));
                let payload = bytes.get(2..).unwrap_or_default();
                let flags = bytes.get(1).copied().unwrap_or_default();
                frame(&mut self.out, one % 12, flags, stream, payload);
                self.allow(bytes.len());
            }
            // The same of another length than it has.
            1 => {
                let length = usize::from(one) * usize::from(two);
                let kind = bytes.first().map_or(0, |byte| byte % 12);
                lying(&mut self.out, length as u32, kind, END_HEADERS, 1, bytes);
                self.allow(bytes.len() + length);
            }
            2 => {
                let rpc = Rpc::ALL[usize::from(one) % Rpc::ALL.len()];
                self.call(rpc, two, &request(rpc), random);
            }
            3 => {
                let rpc = Rpc::ALL[usize::from(one) % Rpc::ALL.len()];
                let body = [&[0, 0, 0, 0, bytes.len() as u8], bytes].concat();
                self.call(rpc, one & (IN_PIECES | WITH_TIMEOUT), &body, random);
            }
            4 => self.storm(one, usize::from(two) * 4),
            5 => {
                self.flush();
                let time = match two % 4 {
                    0 => Duration::from_millis(u64::from(one)),
                    // Longer than any time limit of a call or a connection, at most.
                    _ => Duration::from_secs(u64::from(one) / 2),
                };
                self.is_clean &= time < Duration::from_secs(1);
                self.steps.push(Step::Wait(time));
            }
            6 => {
                let stream = u32::from(one) | 1;
                frame(&mut self.out, DATA, two & END_STREAM, stream, bytes);
                self.allow(bytes.len());
            }
            7 => {
                self.out.extend_from_slice(bytes);
                self.allow(bytes.len());
            }
            8 => {
                let stream = self.open();
                frame(&mut self.out, HEADERS, one, stream, bytes);
                self.allow(bytes.len());
            }
            _ => {
                self.flush();
                self.steps.push(Step::Leave);
            }
        }
    }

    /// Bytes without a meaning.
    fn allow(&mut self, bytes: usize) {
        self.allowed += bytes * PER_BYTE + (bytes / 9 + 1) * PER_FRAME;
    }

    fn open(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.allowed += PER_HEAD;
        stream
    }

    fn call(&mut self, rpc: Rpc, options: u8, body: &[u8], random: &mut Random) {
        let stream = self.open();
        self.allowed += 8 * body.len();
        let has = |option| options & option != 0;
        let further = [CLIENT, ("grpc-timeout", "900m")];
        let from = usize::from(has(WITHOUT_CLIENT));
        let to = further.len() - usize::from(!has(WITH_TIMEOUT));
        let head = call_head(rpc.name(), &further[from..to]);
        self.head(stream, &head, has(CONTINUED), random);
        let mut rest = body;
        if has(LACKS_A_BYTE) {
            rest = rest.split_last().map_or(rest, |(_, rest)| rest);
        }
        let ends = !has(STAYS_OPEN) && !has(IS_RESET);
        loop {
            let most = if has(IN_PIECES) { 40 } else { 16_000 };
            let (piece, more) = rest.split_at(rest.len().min(1 + random.below(most)));
            rest = more;
            let is_last = rest.is_empty();
            let end = if is_last && ends { END_STREAM } else { 0 };
            if has(WITH_PADDING) {
                let padded = [&[3], piece, &[0; 3]].concat();
                frame(&mut self.out, DATA, end | PADDED, stream, &padded);
            } else {
                frame(&mut self.out, DATA, end, stream, piece);
            }
            if is_last {
                break;
            }
        }
        if has(IS_RESET) {
            frame(&mut self.out, RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        } else if ends {
            self.calls.push(stream);
        }
    }

    fn head(&mut self, stream: u32, block: &[u8], is_continued: bool, random: &mut Random) {
        if !is_continued {
            return frame(&mut self.out, HEADERS, END_HEADERS, stream, block);
        }
        let (first, rest) = block.split_at(random.below(block.len()));
        let (second, third) = rest.split_at(random.below(rest.len()));
        frame(&mut self.out, HEADERS, 0, stream, first);
        frame(&mut self.out, CONTINUATION, 0, stream, second);
        frame(&mut self.out, CONTINUATION, END_HEADERS, stream, third);
    }

    /// Many frames of a kind.
    fn storm(&mut self, what: u8, count: usize) {
        let last = self.next.saturating_sub(2).max(1);
        if what % 8 == 3 {
            let stream = self.open();
            frame(&mut self.out, HEADERS, 0, stream, &[0x83]);
        }
        for nth in 0..count {
            match what % 8 {
                0 => {
                    self.pings += 1;
                    frame(&mut self.out, PING, 0, 0, &[0; 8]);
                }
                1 => frame(&mut self.out, SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]),
                2 => {
                    let stream = self.open();
                    let head = call_head("QueryRoute", &[CLIENT]);
                    frame(&mut self.out, HEADERS, END_HEADERS, stream, &head);
                    frame(&mut self.out, RST_STREAM, 0, stream, &[0, 0, 0, 8]);
                }
                3 => {
                    self.allow(1);
                    frame(&mut self.out, CONTINUATION, 0, self.next - 2, b"\x82");
                }
                4 => frame(&mut self.out, DATA, 0, last, &[]),
                5 => frame(
                    &mut self.out,
                    WINDOW_UPDATE,
                    0,
                    last * (nth as u32 & 1),
                    &[0, 0, 0, 1],
                ),
                6 => frame(&mut self.out, PRIORITY, 0, last, &[0, 0, 0, 0, 1]),
                _ => frame(&mut self.out, GOAWAY, 0, 0, &[0; 8]),
            }
        }
    }
}

/// A script with a few calls, of which one in four breaks no rule.
pub(super) fn generate(random: &mut Random) -> Vec<u8> {
    let is_clean = random.once_in(4);
    let mut input = vec![match is_clean {
        true => random.pick(&[0, 1, 2, 3]),
        false => random.next() as u8,
    }];
    input.extend(random.next().to_be_bytes());
    for _ in 0..=random.below(12) {
        let (part, two) = match is_clean {
            true => (random.pick(&[2, 2, 2, 3, 4, 5]), random.next() as u8 & 0xe6),
            false => (random.next() as u8 % 10, random.next() as u8),
        };
        let one = match (is_clean, part) {
            (true, 4) => 0,
            _ => random.next() as u8,
        };
        match part {
            // Their bytes follow.
            0 | 1 | 3 | 6 | 7 | 8 => {
                let length = random.below(30);
                input.extend([part, one, length as u8]);
                input.extend((0..length).map(|_| random.next() as u8));
            }
            5 if is_clean => input.extend([5, one, 0]),
            _ => input.extend([part, one, two]),
        }
    }
    input
}

/// A connection with one call of each kind, in one piece and in small ones, and storms.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let head = [0; 9];
    let all = |options: u8| {
        let calls = (0..Rpc::ALL.len()).flat_map(|rpc| [2, rpc as u8, options]);
        head.iter().copied().chain(calls).collect()
    };
    let storm = |what: u8| [&head[..], &[2, 10, 0, 4, what, 200, 2, 10, 0]].concat();
    let options = [
        0,
        IN_PIECES,
        CONTINUED | WITH_PADDING,
        STAYS_OPEN,
        IS_RESET | WITH_TIMEOUT,
    ];
    let mut seeds: Vec<Vec<u8>> = options.into_iter().map(all).collect();
    seeds.push(all(LACKS_A_BYTE | STAYS_OPEN));
    seeds.push(all(WITHOUT_CLIENT));
    seeds.extend((0..8).map(storm));
    seeds
}
