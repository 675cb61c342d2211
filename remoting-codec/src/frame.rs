//! The length of a frame and of its header.

use crate::error::FrameError;

/// Bytes before the header: the frame's length, then serialize type and header length.
pub const FRAME_PREFIX: usize = 8;

/// Most bytes of a frame, its length field included, unless configured otherwise: the default limit
/// of Java's `NettyDecoder` (`com.rocketmq.remoting.frameMaxLength`).
pub const DEFAULT_FRAME_LIMIT: usize = 16 * 1024 * 1024;

/// Most bytes of a header, unless configured otherwise. Clients send a few hundred; the longest
/// part is the message properties, 32 KiB at most.
pub const DEFAULT_HEADER_LIMIT: usize = 64 * 1024;

/// The greatest header limit that can be configured.
pub const MAX_HEADER_LIMIT: usize = 256 * 1024;

/// Most bytes of a header from a broker or a name server. These servers have no limit for headers
/// except that of frames.
pub const UPSTREAM_HEADER_LIMIT: usize = 1024 * 1024;

/// Longest header: a frame has 24 bits for its length.
pub(crate) const MAX_HEADER: usize = 0x00FF_FFFF;

/// Most bytes of a frame without its body after its header was rewritten.
pub(crate) const MAX_REWRITTEN: usize = 1024 * 1024;

/// Limits for the length of a frame and of its header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameLimits {
    /// Most bytes of a frame, its length field included.
    pub frame: usize,
    /// Most bytes of a header.
    pub header: usize,
}

impl FrameLimits {
    /// For frames from a broker or a name server: `frame` is their limit for frames.
    #[must_use]
    pub fn upstream(frame: usize) -> Self {
        Self {
            frame,
            header: UPSTREAM_HEADER_LIMIT,
        }
    }
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self {
            frame: DEFAULT_FRAME_LIMIT,
            header: DEFAULT_HEADER_LIMIT,
        }
    }
}

/// How a header is written. Each frame has its own type byte; the two directions of a connection
/// may differ.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum SerializeType {
    /// A JSON object; every client's default.
    Json = 0,
    /// The binary form (`rocketmq.serialize.type=ROCKETMQ`).
    RocketMq = 1,
}

impl SerializeType {
    /// The type that a frame's type byte names.
    ///
    /// # Errors
    /// For any byte other than 0 and 1.
    pub fn from_byte(byte: u8) -> Result<Self, FrameError> {
        match byte {
            0 => Ok(Self::Json),
            1 => Ok(Self::RocketMq),
            other => Err(FrameError::UnknownSerializeType(other)),
        }
    }
}

/// The length of the whole frame at the front of `bytes`, its length field included; `None` while
/// too few bytes have arrived to know it. The rest of the frame may be missing; the bytes that have
/// arrived are checked.
///
/// # Errors
/// For a length that no frame has or that is over its limit, a header over its own or longer than
/// its frame, and an unknown serialize type. No further frame can be read after an error: close the
/// connection.
#[inline]
pub fn frame_length(bytes: &[u8], limits: FrameLimits) -> Result<Option<usize>, FrameError> {
    let Some((total, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    // The length is unsigned in Java's decoder: a negative one is a very long frame.
    let length = u64::from(u32::from_be_bytes(*total)) + 4;
    if length < FRAME_PREFIX as u64 {
        return Err(FrameError::TooShort(length));
    }
    if length > limits.frame as u64 {
        return Err(FrameError::TooLong {
            length,
            limit: limits.frame,
        });
    }
    let length = length as usize;
    if let Some((word, _)) = rest.split_first_chunk::<4>() {
        let [serialize_type, ..] = *word;
        SerializeType::from_byte(serialize_type)?;
        let header = header_length(*word);
        if header > length - FRAME_PREFIX {
            return Err(FrameError::HeaderOverrun {
                header,
                frame: length,
            });
        }
        if header > limits.header {
            return Err(FrameError::HeaderTooLong(header));
        }
    }
    Ok(Some(length))
}

/// The number of bytes of the prefix and the header of the frame at the front of `bytes`, however
/// long the frame is; `None` while too few bytes have arrived to know it.
///
/// # Errors
/// For a header that is over its limit or longer than its frame.
pub fn head_length(bytes: &[u8], limits: FrameLimits) -> Result<Option<usize>, FrameError> {
    let Some((prefix, _)) = bytes.split_first_chunk::<FRAME_PREFIX>() else {
        return Ok(None);
    };
    let [a, b, c, d, word @ ..] = *prefix;
    let frame = u32::from_be_bytes([a, b, c, d]) as usize + 4;
    let header = header_length(word);
    if header > frame.saturating_sub(FRAME_PREFIX) {
        return Err(FrameError::HeaderOverrun { header, frame });
    }
    if header > limits.header {
        return Err(FrameError::HeaderTooLong(header));
    }
    Ok(Some(FRAME_PREFIX + header))
}

/// The header's length, from the second word of a frame.
pub(crate) fn header_length(word: [u8; 4]) -> usize {
    u32::from_be_bytes(word) as usize & MAX_HEADER
}

/// Writes what precedes the header of a frame that is otherwise whole.
pub(crate) fn encode_prefix(frame: &mut [u8], serialize_type: SerializeType, header: usize) {
    let total = (frame.len() - 4) as u32;
    let word = (u32::from(serialize_type as u8) << 24) | header as u32;
    if let Some(prefix) = frame.first_chunk_mut::<FRAME_PREFIX>() {
        let [a, b, c, d] = total.to_be_bytes();
        let [e, f, g, h] = word.to_be_bytes();
        *prefix = [a, b, c, d, e, f, g, h];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits {
        frame: DEFAULT_FRAME_LIMIT,
        header: DEFAULT_HEADER_LIMIT,
    };

    #[test]
    fn length_counts_its_own_field() {
        let bytes = [0, 0, 0, 0x7f, 0, 0, 0, 0x7b];
        assert_eq!(frame_length(&bytes, LIMITS), Ok(Some(0x83)));
        assert_eq!(frame_length(&bytes[..4], LIMITS), Ok(Some(0x83)));
        assert_eq!(frame_length(&bytes[..3], LIMITS), Ok(None));
    }

    #[test]
    fn absurd_lengths_are_refused() {
        assert_eq!(
            frame_length(&[0, 0, 0, 3], LIMITS),
            Err(FrameError::TooShort(7))
        );
        assert!(matches!(
            frame_length(&[0xff, 0xff, 0xff, 0xff], LIMITS),
            Err(FrameError::TooLong { .. })
        ));
        // 16 MiB with the length field is still allowed, a byte more is not.
        assert_eq!(
            frame_length(&(LIMITS.frame as u32 - 4).to_be_bytes(), LIMITS),
            Ok(Some(LIMITS.frame))
        );
        assert!(frame_length(&(LIMITS.frame as u32 - 3).to_be_bytes(), LIMITS).is_err());
        assert_eq!(
            frame_length(&[0, 0, 0, 8, 0, 0, 0, 5], LIMITS),
            Err(FrameError::HeaderOverrun {
                header: 5,
                frame: 12
            })
        );
        assert_eq!(
            frame_length(&[0, 0, 0, 8, 7, 0, 0, 4], LIMITS),
            Err(FrameError::UnknownSerializeType(7))
        );
    }

    #[test]
    fn a_header_has_a_limit_of_its_own() {
        let frame = |header: u32| {
            let word = header.to_be_bytes();
            [(4 + header).to_be_bytes(), word].concat()
        };
        assert!(matches!(frame_length(&frame(65_536), LIMITS), Ok(Some(_))));
        assert_eq!(
            frame_length(&frame(65_537), LIMITS),
            Err(FrameError::HeaderTooLong(65_537))
        );
        let upstream = FrameLimits::upstream(DEFAULT_FRAME_LIMIT);
        assert!(frame_length(&frame(65_537), upstream).is_ok());
    }
}
