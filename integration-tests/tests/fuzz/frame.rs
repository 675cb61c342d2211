//! Where frames start and end.

use remoting_codec::{CommandView, DecodeError, FrameError, FrameLimits, frame_length};

use crate::{Target, header, outcome};

/// The first byte picks limits; the rest is a stream of frames.
pub(crate) const FRAME: Target = Target {
    name: "frame",
    run,
    longest: 4_096,
    tokens: &[
        b"\0\0\0\0",
        b"\0\0\0\x04",
        b"\0\0\0\x08\0\0\0\0",
        b"\0\0\0\x08\x01\0\0\x04",
        b"\xff\xff\xff\xff",
        b"\x01\0\0\0",
        b"\x02\0\0\0",
    ],
    seeds: || {
        header::golden_frames()
            .into_iter()
            .map(|frame| [&[0], &frame[..]].concat())
            .collect()
    },
    generate: None,
};

const LIMITS: [FrameLimits; 4] = [
    FrameLimits {
        frame: 16 * 1024 * 1024,
        header: 64 * 1024,
    },
    FrameLimits {
        frame: usize::MAX,
        header: usize::MAX,
    },
    FrameLimits {
        frame: 300,
        header: 100,
    },
    FrameLimits {
        frame: 8,
        header: 0,
    },
];

fn run(input: &[u8]) -> u64 {
    let Some((choice, stream)) = input.split_first() else {
        return 0;
    };
    let limits = LIMITS[usize::from(*choice) % LIMITS.len()];
    let length = frame_length(stream, limits);
    assert_eq!(length.ok(), expected(stream, limits));
    // A result for the first bytes stays the same when more arrive.
    let mut before = Ok(None);
    for end in 0..stream.len().min(9) {
        let now = frame_length(&stream[..end], limits);
        match before {
            Ok(None) => {}
            Ok(known) => assert!(
                now == Ok(known) || now.is_err(),
                "{before:?} became {now:?}"
            ),
            // With more bytes, something else may be wrong as well.
            Err(_) => assert!(now.is_err(), "{before:?} became {now:?}"),
        }
        before = now;
    }
    // The whole stream.
    let (mut at, mut frames, mut commands) = (0, 0, 0);
    let rest = loop {
        let rest = &stream[at..];
        match frame_length(rest, limits) {
            Ok(Some(length)) if length <= rest.len() => {
                let decoded = CommandView::decode(&rest[..length]);
                // What is a frame is one to this reader, too.
                assert!(
                    !matches!(
                        decoded,
                        Err(DecodeError::Frame(
                            FrameError::TooShort(_)
                                | FrameError::HeaderOverrun { .. }
                                | FrameError::UnknownSerializeType(_)
                        ))
                    ),
                    "{decoded:?}"
                );
                commands += usize::from(decoded.is_ok());
                at += length;
                frames += 1;
            }
            other => break other,
        }
    };
    let rest = match rest {
        Ok(None) => 0,
        Ok(Some(_)) => 1,
        Err(FrameError::TooShort(_)) => 2,
        Err(FrameError::TooLong { .. }) => 3,
        Err(FrameError::HeaderOverrun { .. }) => 4,
        Err(FrameError::HeaderTooLong(_)) => 5,
        Err(FrameError::UnknownSerializeType(_)) => 6,
        Err(_) => 7,
    };
    outcome((choice % 4, frames.min(8), commands.min(4), rest))
}

/// The length that `frame_length` must return, as the protocol is described; `None` for a stream
/// that cannot be read further.
pub(crate) fn expected(stream: &[u8], limits: FrameLimits) -> Option<Option<usize>> {
    if stream.len() < 4 {
        return Some(None);
    }
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, byte| sum * 256 + usize::from(*byte))
    };
    let behind = number(&stream[..4]);
    if behind < 4 || behind + 4 > limits.frame {
        return None;
    }
    if stream.len() >= 8 {
        let header = number(&stream[5..8]);
        if stream[4] > 1 || header > behind - 4 || header > limits.header {
            return None;
        }
    }
    Some(Some(behind + 4))
}
