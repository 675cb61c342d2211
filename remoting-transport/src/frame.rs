//! A frame as it arrives.

use bytes::Bytes;

/// A body from this size on is not copied but shared with the buffer that it was read into.
pub(crate) const SHARE_MIN: usize = 32 * 1024;

/// A whole frame that has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) shared: Option<&'a Bytes>,
}

impl<'a> Frame<'a> {
    /// A frame in a buffer of its own.
    #[must_use]
    pub fn of(bytes: &'a Bytes) -> Self {
        Self {
            bytes,
            shared: Some(bytes),
        }
    }

    /// The frame's bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The frame's own buffer, which can be kept; only large frames have one.
    pub(crate) fn shared(&self) -> Option<&'a Bytes> {
        self.shared
    }

    /// The frame as an owned buffer: shared if it has one of its own, else copied.
    #[must_use]
    pub fn to_owned(&self) -> Bytes {
        match self.shared {
            Some(shared) => shared.clone(),
            None => Bytes::copy_from_slice(self.bytes),
        }
    }
}
