//! Work that takes long for large bodies, in parts, so that other clients of the worker go on.

use tokio::task::yield_now;

use crate::sdk::SdkError;
use crate::sdk::digest::{Digest, PIECE, Sum};
use crate::sdk::document::{MessageReader, Published};
use crate::sdk::xml::WORK;

/// Bytes of which the digest is computed between two turns of others: half a millisecond or two.
const PART: usize = 8 * PIECE;

/// The digest of these bytes.
pub(super) async fn digest_of(bytes: &[u8]) -> Digest {
    let mut sum = Sum::default();
    for (nth, part) in bytes.chunks(PART).enumerate() {
        if nth > 0 {
            yield_now().await;
        }
        sum.add(part);
    }
    sum.end()
}

/// Reads the document of a message.
pub(super) async fn message_in(document: &[u8]) -> Result<Published<'_>, SdkError> {
    let mut reader = MessageReader::new(document);
    loop {
        if let Some(message) = reader.next(WORK)? {
            return Ok(message);
        }
        yield_now().await;
    }
}
