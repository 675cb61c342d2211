//! Where a frame begins and ends.

use crate::error::FrameError;

/// Bytes before the header: the frame's length, then serialize type and header length.
pub const FRAME_PREFIX: usize = 8;

/// Most bytes of a frame, its length field included, unless configured otherwise: what Java's
/// `NettyDecoder` takes by default (`com.rocketmq.remoting.frameMaxLength`).
pub const DEFAULT_FRAME_LIMIT: usize = 16 * 1024 * 1024;

/// Longest header: a frame has 24 bits for its length.
pub(crate) const MAX_HEADER: usize = 0x00FF_FFFF;

/// How a header is written. A frame says so itself; the two directions of a connection need not
/// agree.
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
    /// For any byte but 0 and 1.
    pub fn from_byte(byte: u8) -> Result<Self, FrameError> {
        match byte {
            0 => Ok(Self::Json),
            1 => Ok(Self::RocketMq),
            other => Err(FrameError::UnknownSerializeType(other)),
        }
    }
}

/// The length of the whole frame at the front of `bytes`, its length field included, as soon as it
/// can be told; `None` while it cannot. The frame itself need not be there yet, but of what is
/// there, everything that can be wrong is found.
///
/// # Errors
/// For a length that no frame has or that is over `limit`, a header longer than its frame, and an
/// unknown serialize type. None can be recovered from: close the connection.
pub fn frame_length(bytes: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some((total, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    // The length is unsigned in Java's decoder: a negative one is a very long frame.
    let length = u64::from(u32::from_be_bytes(*total)) + 4;
    if length < FRAME_PREFIX as u64 {
        return Err(FrameError::TooShort(length));
    }
    if length > limit as u64 {
        return Err(FrameError::TooLong { length, limit });
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
    }
    Ok(Some(length))
}

/// The header's length out of the second word of a frame.
pub(crate) fn header_length(word: [u8; 4]) -> usize {
    u32::from_be_bytes(word) as usize & MAX_HEADER
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = DEFAULT_FRAME_LIMIT;

    #[test]
    fn length_counts_its_own_field() {
        let bytes = [0, 0, 0, 0x7f, 0, 0, 0, 0x7b];
        assert_eq!(frame_length(&bytes, LIMIT), Ok(Some(0x83)));
        assert_eq!(frame_length(&bytes[..4], LIMIT), Ok(Some(0x83)));
        assert_eq!(frame_length(&bytes[..3], LIMIT), Ok(None));
    }

    #[test]
    fn absurd_lengths_are_refused() {
        assert_eq!(
            frame_length(&[0, 0, 0, 3], LIMIT),
            Err(FrameError::TooShort(7))
        );
        assert!(matches!(
            frame_length(&[0xff, 0xff, 0xff, 0xff], LIMIT),
            Err(FrameError::TooLong { .. })
        ));
        // 16 MiB with the length field is still allowed, a byte more is not.
        assert_eq!(
            frame_length(&(LIMIT as u32 - 4).to_be_bytes(), LIMIT),
            Ok(Some(LIMIT))
        );
        assert!(frame_length(&(LIMIT as u32 - 3).to_be_bytes(), LIMIT).is_err());
        assert_eq!(
            frame_length(&[0, 0, 0, 8, 0, 0, 0, 5], LIMIT),
            Err(FrameError::HeaderOverrun {
                header: 5,
                frame: 12
            })
        );
        assert_eq!(
            frame_length(&[0, 0, 0, 8, 7, 0, 0, 4], LIMIT),
            Err(FrameError::UnknownSerializeType(7))
        );
    }
}
