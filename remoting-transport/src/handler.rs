//! The receiver of a connection's frames.

use std::cell::Cell;

use remoting_codec::DecodeError;

use crate::frame::Frame;

/// The receiver of a connection's frames.
pub trait FrameHandler {
    /// Takes a frame. It must not block.
    ///
    /// # Errors
    /// When the frame cannot be read: the connection ends.
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError>;

    /// Whether frames over their limit are skipped. Otherwise such a frame ends the connection.
    fn skips_long_frames(&self) -> bool {
        false
    }

    /// Takes the head, up to the end of the header, of a frame that is skipped, and the length of
    /// the whole frame.
    ///
    /// # Errors
    /// When the head cannot be read: the connection ends.
    fn on_long_frame(&self, _head: &[u8], _length: u64) -> Result<(), DecodeError> {
        Ok(())
    }

    /// Whether the handler takes another frame now. If not, the connection is not read. The pump
    /// calls this again whenever the connection's outbox is woken.
    fn is_ready(&self) -> bool {
        true
    }

    /// The peer has ended its side, and frames that it sent before wait until the handler is ready.
    /// The peer may have disconnected.
    fn peer_ended(&self) {}

    /// The connection's turn starts.
    fn begin_turn(&self) {}

    /// Whether the frames of this turn have made so much work that other connections must get
    /// theirs first.
    fn is_turn_over(&self) -> bool {
        false
    }

    /// The bytes that may be written until the handler adds more and wakes the outbox; `None` if
    /// only the peer limits the rate.
    fn write_credit(&self) -> Option<&Cell<usize>> {
        None
    }

    /// Whether the connection waits in the queue for its next turn. A connection that many clients
    /// share does not, because all of them would wait.
    fn waits_for_turns(&self) -> bool {
        false
    }
}
