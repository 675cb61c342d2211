//! Headers that are not canonical: read as a broker of 5.5.0 reads them, and written again in the
//! canonical form.
//!
//! This is the cold path. It allocates at most a few times the header's length, and takes linear
//! time.
//!
//! The readers are more lenient than the broker's where that is simpler; the rewritten header does
//! not show it. Decision 0010 lists the forms that they refuse although that broker would accept
//! them.

mod binary;
mod header;
mod json;
mod nested;
mod number;
mod source;

use crate::error::{DecodeError, FrameError};
use crate::frame::{FRAME_PREFIX, SerializeType};

/// A header in the canonical form, and how much of the original it replaces.
#[derive(Debug)]
pub(crate) struct Rewritten {
    pub(crate) header: Vec<u8>,
    /// Bytes of the original header that were read; the body follows them.
    pub(crate) consumed: usize,
}

/// Reads a header that is not canonical and writes it in the canonical form.
///
/// # Errors
/// When a broker could not read it either, and for the few forms of decision 0010 that are refused.
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
