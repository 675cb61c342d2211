//! Headers that are not in the canonical form: read as a broker of 5.5.0 reads them, and written anew in that form.
//!
//! The cold path: it may allocate, but no more than a few times the header's length, and takes linear time.
//!
//! The readers are more lenient than the broker's where that is simpler: nothing of it is passed on. What they refuse although
//! that broker would take it is listed in decision 0010.

mod binary;
mod header;
mod json;
mod nested;
mod number;
mod source;

use crate::error::{DecodeError, FrameError};
use crate::frame::{FRAME_PREFIX, SerializeType};

/// A header in canonical form, and what of it was not in the original.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) header: Vec<u8>,
    /// Bytes that the original had, its body behind them.
    pub(crate) consumed: usize,
}

/// Reads a header that is not canonical and writes it anew.
///
/// # Errors
/// When a broker could not read it either, and for the few forms that are not taken.
#[cold]
pub(crate) fn rewrite(
    header: &[u8],
    serialize_type: SerializeType,
) -> Result<Rewritten, DecodeError> {
    let rewritten = match serialize_type {
        SerializeType::Json => Rewritten {
            header: json::read(header)?.write_json(),
            consumed: header.len(),
        },
        SerializeType::RocketMq => {
            let (read, consumed) = binary::read(header)?;
            Rewritten {
                header: read.write_binary()?,
                consumed,
            }
        }
    };
    if rewritten.header.len() + FRAME_PREFIX > crate::frame::MAX_REWRITTEN {
        return Err(FrameError::HeaderTooLong(rewritten.header.len()).into());
    }
    Ok(rewritten)
}
