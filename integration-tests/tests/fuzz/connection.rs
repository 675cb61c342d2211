//! A whole connection: frames that arrive in pieces of any size, and are sent back to a peer that
//! reads at any speed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use remoting_codec::{DecodeError, FrameLimits};
use remoting_transport::{Buffers, Frame, FrameHandler, Outbox, PumpError, pump};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::frame::expected;
use crate::random::Random;
use crate::{Target, header, in_paused_time, outcome};

/// The first byte is the kind of the connection, the next eight seed the sizes of the pieces; then
/// follow [parts](Script).
pub(crate) const CONNECTION: Target = Target {
    name: "connection",
    run,
    longest: 1_024,
    tokens: &[
        b"\x00\x01\x00",
        b"\x00\x05\x40",
        b"\x01\x09\x05",
        b"\x02\x05",
        b"\x03\x04\0\0\0\x03",
        b"\x03\x04\xff\xff\xff\xff",
        b"\x03\x03\0\0\0",
        b"\x03\x08\0\0\0\x04\x07\0\0\0",
    ],
    seeds: || {
        header::golden_frames()
            .iter()
            .take(20)
            .map(|frame| seed(frame))
            .collect()
    },
    generate: Some(generate),
};

const LIMITS: FrameLimits = FrameLimits {
    frame: 1024 * 1024,
    header: 64 * 1024,
};

/// Most bytes of one stream: more would take more time than they are worth.
const LONGEST: usize = 600 * 1024;

/// The clock stands still while anything happens, so this time is over immediately when nothing
/// happens any more.
const IN_VAIN: Duration = Duration::from_secs(3600);

/// The echoing side is not ready while more bytes than this wait to be written.
const WAITING_MAX: usize = 100_000;

fn seed(frame: &[u8]) -> Vec<u8> {
    let mut input = vec![0; 9];
    for part in frame.chunks(255) {
        input.extend([3, part.len() as u8]);
        input.extend_from_slice(part);
    }
    input
}

fn generate(random: &mut Random) -> Vec<u8> {
    let mut input = vec![random.next() as u8];
    input.extend(random.next().to_be_bytes());
    for _ in 0..=random.below(20) {
        // Long frames take time, and what is none ends everything.
        let kind = match random.below(40) {
            0 => 3,
            1..4 => random.pick(&[1, 2]),
            _ => 0,
        };
        input.extend([kind, random.next() as u8, random.next() as u8]);
    }
    input
}

/// The bytes that are sent over a connection, and how.
struct Script {
    /// Bytes that are under way at most.
    capacity: usize,
    /// Whether it waits for turns, as those of clients do, or not, as those to brokers.
    waits_for_turns: bool,
    /// Frames after which a turn is over.
    turn: usize,
    /// The peer pauses once in that many times.
    pauses: usize,
    /// Sizes of pieces.
    random: Random,
    stream: Vec<u8>,
}

impl Script {
    fn read(input: &[u8]) -> Option<Self> {
        let (kind, rest) = input.split_first()?;
        let (seed, mut rest) = rest.split_first_chunk()?;
        let mut random = Random(u64::from_be_bytes(*seed));
        let mut stream = Vec::new();
        while let [kind, size, more @ ..] = rest
            && stream.len() < LONGEST
        {
            rest = more;
            let size = usize::from(*size);
            match kind % 4 {
                // A frame that is short, or as long as one read, or longer than what is shared; and
                // what is in it.
                0 => frame(&mut stream, random.below(40), size, random.next() as u8),
                1 => frame(&mut stream, size, random.below(70_000), random.next() as u8),
                2 => frame(&mut stream, size, size * 1_500, random.next() as u8),
                // As it is, be it a frame or not.
                _ => {
                    let (bytes, more) = rest.split_at(size.min(rest.len()));
                    stream.extend_from_slice(bytes);
                    rest = more;
                }
            }
        }
        let capacity: usize = [1 << 20, 1, 7, 1_000, 65_536, 100_000][usize::from(kind % 6)];
        Some(Self {
            // Byte by byte, much takes long.
            capacity: capacity.max(stream.len() / 150),
            waits_for_turns: kind & 0x40 == 0,
            turn: if kind & 0x20 == 0 { usize::MAX } else { 3 },
            pauses: if kind & 0x80 == 0 { 50 } else { 2 },
            random,
            stream,
        })
    }

    /// The frames that are in it, how many bytes those have, and whether what follows is no frame.
    fn expected(&self) -> (Vec<&[u8]>, usize, bool) {
        let mut frames = Vec::new();
        let mut at = 0;
        loop {
            let rest = &self.stream[at..];
            match expected(rest, LIMITS) {
                Some(Some(length)) if length <= rest.len() => {
                    frames.push(&rest[..length]);
                    at += length;
                }
                Some(_) => return (frames, at, false),
                None => return (frames, at, true),
            }
        }
    }
}

fn frame(stream: &mut Vec<u8>, header: usize, body: usize, fill: u8) {
    stream.extend((4 + header as u32 + body as u32).to_be_bytes());
    stream.extend((header as u32).to_be_bytes());
    stream.resize(stream.len() + header + body, fill);
}

/// Keeps every frame and sends it back.
struct Echo<'a> {
    outbox: &'a Outbox,
    frames: RefCell<Vec<Vec<u8>>>,
    waits_for_turns: bool,
    turn: usize,
    in_this_turn: Cell<usize>,
}

impl FrameHandler for Echo<'_> {
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        assert!(
            self.is_ready() && !self.is_turn_over(),
            "a frame that no request waits for"
        );
        self.outbox.push_bytes(frame.bytes());
        assert_eq!(frame.to_owned(), frame.bytes());
        self.frames.borrow_mut().push(frame.bytes().to_vec());
        self.in_this_turn.set(self.in_this_turn.get() + 1);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.outbox.len() < WAITING_MAX
    }

    fn begin_turn(&self) {
        self.in_this_turn.set(0);
    }

    fn is_turn_over(&self) -> bool {
        self.in_this_turn.get() >= self.turn
    }

    fn waits_for_turns(&self) -> bool {
        self.waits_for_turns
    }
}

fn run(input: &[u8]) -> u64 {
    let Some(script) = Script::read(input) else {
        return 0;
    };
    in_paused_time(go(&script))
}

async fn go(script: &Script) -> u64 {
    let (expected, length, is_spoilt) = script.expected();
    let (mut near, far) = duplex(script.capacity);
    let buffers = Rc::new(Buffers::default());
    let outbox = Outbox::new(buffers.clone(), Arc::default());
    let echo = Echo {
        outbox: &outbox,
        frames: RefCell::default(),
        waits_for_turns: script.waits_for_turns,
        turn: script.turn,
        in_this_turn: Cell::new(0),
    };
    let connection = async {
        let ended = pump(&mut near, &outbox, &buffers, LIMITS, &echo).await;
        drop(near);
        ended
    };
    let both = async { tokio::join!(connection, peer(far, script, length, is_spoilt)) };
    let (ended, sent_back) = timeout(IN_VAIN, both)
        .await
        .expect("the connection stands still");

    match ended {
        Ok(()) => assert!(!is_spoilt, "what is no frame was taken for one"),
        Err(PumpError::Protocol(_) | PumpError::NoFrame { .. }) => {
            assert!(is_spoilt, "a frame was not taken for one");
        }
        Err(PumpError::Io(error)) => panic!("{error}"),
    }
    let frames = echo.frames.take();
    assert_eq!(frames.len(), expected.len(), "as many frames as were sent");
    assert!(
        frames.iter().eq(expected.iter()),
        "the frames that were sent"
    );
    let all = &script.stream[..length];
    assert!(all.starts_with(&sent_back), "only sent bytes return");
    if !is_spoilt {
        assert_eq!(sent_back.len(), length, "all bytes return");
    }
    // All charges are released.
    outbox.close();
    assert_eq!((outbox.len(), outbox.account().held()), (0, 0));

    let size = |length: usize| usize::BITS - length.leading_zeros();
    let longest = expected
        .iter()
        .map(|frame| frame.len())
        .max()
        .unwrap_or_default();
    outcome((
        size(script.capacity),
        script.waits_for_turns,
        script.turn,
        size(frames.len()),
        size(longest),
        size(script.stream.len() - length),
        is_spoilt,
    ))
}

/// Sends the stream in pieces and reads the bytes that are sent back; ends when all have arrived,
/// or when no more can.
async fn peer(far: DuplexStream, script: &Script, length: usize, is_spoilt: bool) -> Vec<u8> {
    let (mut from, mut to) = tokio::io::split(far);
    let mut random = script.random.clone();
    let mut reading = Random(random.next());
    let write = async {
        let mut rest = &script.stream[..];
        // Pieces of a few bytes throughout, or of more.
        let most = random
            .pick(&[1, 5, 9, 100, 5_000, 70_000, 300_000])
            .max(rest.len() / 150);
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(1 + random.below(most)));
            rest = more;
            // The connection ends when it has received bytes that are no frame.
            if to.write_all(piece).await.is_err() {
                break;
            }
            if random.once_in(script.pauses) {
                yield_now().await;
            }
        }
        to
    };
    let read = async {
        let mut back = Vec::new();
        let most = reading.pick(&[10, 1_000, 100_000]);
        let mut buffer = vec![0; 1 + reading.below(most)];
        while back.len() < length || is_spoilt {
            match from.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(bytes) => back.extend_from_slice(&buffer[..bytes]),
            }
            if reading.once_in(script.pauses) {
                yield_now().await;
            }
        }
        back
    };
    let (mut to, mut back) = tokio::join!(write, read);
    // Now the peer sends nothing more; further bytes must not arrive.
    let _ = to.shutdown().await;
    let _ = from.read_to_end(&mut back).await;
    back
}
