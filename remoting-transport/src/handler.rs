//! The receiver of a connection's frames.

use std::cell::Cell;

use remoting_codec::DecodeError;

use crate::frame::Frame;

/// The receiver of a connection's frames.
pub trait FrameHandler {
    /// Takes a frame. Must not wait for anything.
    ///
    /// # Errors
    /// When the frame cannot be read: the connection ends.
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError>;

    /// Whether frames that are longer than they may be are passed over. Else such a frame ends the connection.
    fn passes_over(&self) -> bool {
        false
    }

    /// Takes the head, up to the end of the header, of a frame that is passed over, and the length of all of it.
    ///
    /// # Errors
    /// When the head cannot be read: the connection ends.
    fn on_long_frame(&self, _head: &[u8], _length: u64) -> Result<(), DecodeError> {
        Ok(())
    }

    /// Whether another frame may come now. While it may not, the peer is not read. Asked again
    /// whenever the connection's outbox is woken.
    fn is_ready(&self) -> bool {
        true
    }

    /// The peer says nothing more, and what it has said cannot all be taken now: it may have gone.
    fn peer_ended(&self) {}

    /// The connection's turn begins.
    fn begin_turn(&self) {}

    /// Whether the frames of this turn have made so much work that others must have theirs first.
    fn is_turn_over(&self) -> bool {
        false
    }

    /// What may be written before the handler allows more, and wakes the outbox; none, where the peer sets the pace.
    fn write_credit(&self) -> Option<&Cell<usize>> {
        None
    }

    /// Whether the connection waits for its next turn behind others of its kind. One that many share does not: what waits
    /// for it is theirs.
    fn waits_for_turns(&self) -> bool {
        false
    }
}
