//! Reading: from bytes that arrive to frames.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use remoting_codec::{
    DecodeError, FRAME_PREFIX, FrameError, FrameLimits, frame_length, head_length,
};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::{Inbox, PumpError};
use crate::buffers::Buffers;
use crate::frame::{Frame, SHARE_MIN};
use crate::handler::FrameHandler;
use crate::outbox::Outbox;

/// Bytes that are read ahead while the handler is not ready, so that the end of the connection is
/// noticed.
const READ_AHEAD: usize = 64 * 1024;

/// Bytes of one read while accounts are restricted to their shares, because an incomplete frame
/// must be kept.
const TIGHT_READ: usize = 4 * 1024;

/// Bytes of a frame's length field.
const LENGTH_FIELD: usize = 4;

/// Bytes of a frame that must arrive before a buffer for all of it is allocated: a peer must send
/// that much of 16 MiB that it announces. The whole buffer is then allocated at once, because
/// repeated copying takes long; pages that are not filled take no memory.
const PARTIAL_MAX: usize = 256 * 1024;

impl Inbox {
    /// Reads and buffers a little while the handler is not ready, so that the end of the stream is
    /// noticed. The handler may be waiting for work of a peer that has disconnected.
    pub(super) fn read_ahead<S, H, O>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        outbox: &Outbox<O>,
        handler: &H,
    ) where
        S: AsyncRead + Unpin,
        H: FrameHandler,
    {
        while self.partial.len() < READ_AHEAD && !self.has_ended {
            let room = READ_AHEAD - self.partial.len();
            let mut room = (&mut self.partial).limit(room);
            let Poll::Ready(read) = poll_read_buf(Pin::new(&mut *stream), cx, &mut room) else {
                return;
            };
            self.charge();
            match read {
                // Frames that the peer sent before are still passed on.
                Ok(0) | Err(_) => {
                    self.has_ended = true;
                    handler.peer_ended();
                }
                Ok(bytes) => outbox.note_received(bytes),
            }
        }
    }

    /// Reads once and passes on whole frames; false at the end of the stream.
    pub(super) fn poll_read<S, H, O>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        outbox: &Outbox<O>,
        buffers: &Buffers,
        handler: &H,
    ) -> Poll<Result<bool, PumpError>>
    where
        S: AsyncRead + Unpin,
        H: FrameHandler,
    {
        let mut read = buffers.read();
        let missing = self.missing()?;
        if missing >= read.len() {
            // A long frame is read into its own buffer, without bytes after it.
            self.make_room(missing, read.len());
            // The kernel may hold megabytes of the frame.
            let mut room = (&mut self.partial).limit(read.len());
            let bytes = ready!(poll_read_buf(Pin::new(stream), cx, &mut room))?;
            self.charge();
            self.turn_read += bytes as u64;
            buffers.stamp();
            outbox.note_received(bytes);
            self.pass_on_partial(handler)?;
            return Poll::Ready(Ok(bytes > 0));
        }
        let most = match handler.waits_for_turns() && buffers.ledger().is_tight() {
            true => TIGHT_READ.min(read.len()),
            false => read.len(),
        };
        let mut buffer = ReadBuf::new(read.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        let bytes = buffer.filled();
        self.turn_read += bytes.len() as u64;
        buffers.stamp();
        outbox.note_received(bytes.len());
        self.take_in(bytes, handler)?;
        Poll::Ready(Ok(!bytes.is_empty()))
    }

    /// Allocates for the missing bytes of a long frame: at least `least`, if so many are missing.
    fn make_room(&mut self, missing: usize, least: usize) {
        let (length, capacity) = (self.partial.len(), self.partial.capacity());
        if capacity - length < missing.min(least) {
            let room = match length < PARTIAL_MAX {
                true => missing.min(PARTIAL_MAX),
                false => missing,
            };
            self.partial.reserve(room);
        }
    }

    /// Completes the buffered frame, passes on whole frames, and buffers the rest, also when they
    /// cannot be read.
    fn take_in<H: FrameHandler>(&mut self, bytes: &[u8], handler: &H) -> Result<(), PumpError> {
        let mut bytes = self.pass_over(bytes);
        let mut taken = Ok(());
        while !self.partial.is_empty() {
            let missing = self.missing()?;
            let (completing, rest) = bytes.split_at(missing.min(bytes.len()));
            self.partial.extend_from_slice(completing);
            bytes = rest;
            taken = self.pass_on_partial(handler);
            if taken.is_err() || bytes.is_empty() || !may_go_on(handler) {
                break;
            }
        }
        if taken.is_ok() {
            bytes = self.pass_over(bytes);
            if self.partial.is_empty() {
                taken = pass_on(&mut bytes, self.limits, handler);
            }
        }
        if !bytes.is_empty() {
            self.partial.extend_from_slice(bytes);
        }
        self.charge();
        taken
    }

    /// These bytes without those of a skipped frame.
    #[inline]
    fn pass_over<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.skipped == 0 {
            return bytes;
        }
        let now = usize::try_from(self.skipped).map_or(bytes.len(), |all| all.min(bytes.len()));
        self.skipped -= now as u64;
        bytes.get(now..).unwrap_or_default()
    }

    /// How many bytes of the frame at the front of the buffer are missing, as far as is known; 0 if
    /// the buffer is empty, or if the frame is whole and waits for the handler.
    pub(super) fn missing(&self) -> Result<usize, PumpError> {
        if self.partial.is_empty() {
            return Ok(0);
        }
        let length = match frame_length(&self.partial, self.limits) {
            Ok(length) => length.unwrap_or(LENGTH_FIELD),
            // It is skipped once its header has arrived.
            Err(FrameError::TooLong { .. }) => {
                let head = head_length(&self.partial, self.limits).map_err(DecodeError::from)?;
                head.unwrap_or(FRAME_PREFIX)
            }
            Err(error) => return Err(DecodeError::from(error).into()),
        };
        Ok(length.saturating_sub(self.partial.len()))
    }

    /// Passes on the whole frames at the front of the buffer.
    pub(super) fn pass_on_partial<H: FrameHandler>(
        &mut self,
        handler: &H,
    ) -> Result<(), PumpError> {
        while may_go_on(handler) {
            let length = match frame_length(&self.partial, self.limits) {
                Ok(Some(length)) if length <= self.partial.len() => length,
                Ok(_) => break,
                Err(FrameError::TooLong { length, .. }) if handler.skips_long_frames() => {
                    let head =
                        head_length(&self.partial, self.limits).map_err(DecodeError::from)?;
                    let Some(head) = head.and_then(|head| self.partial.get(..head)) else {
                        break;
                    };
                    handler.on_long_frame(head, length)?;
                    self.skipped = length;
                    let partial = self.partial.split();
                    let rest = self.pass_over(&partial);
                    self.partial.extend_from_slice(rest);
                    continue;
                }
                Err(error) => return Err(DecodeError::from(error).into()),
            };
            let frame = self.partial.split_to(length);
            if length >= SHARE_MIN {
                let shared = frame.freeze();
                handler.on_frame(Frame::of(&shared))?;
            } else {
                handler.on_frame(Frame {
                    bytes: &frame,
                    shared: None,
                })?;
            }
        }
        if self.partial.is_empty() {
            self.partial = BytesMut::new();
        }
        self.charge();
        Ok(())
    }

    /// Charges the buffered bytes.
    #[inline]
    fn charge(&mut self) {
        self.held.resize(self.partial.len());
    }
}

/// Whether the handler takes another frame in this turn.
#[inline]
fn may_go_on<H: FrameHandler>(handler: &H) -> bool {
    handler.is_ready() && !handler.is_turn_over()
}

/// Passes on the whole frames at the front of `bytes`, and takes them off.
fn pass_on<H: FrameHandler>(
    bytes: &mut &[u8],
    limits: FrameLimits,
    handler: &H,
) -> Result<(), PumpError> {
    while may_go_on(handler) {
        let length = match frame_length(bytes, limits) {
            Ok(Some(length)) => length,
            // The head of a frame that is too long is buffered.
            Ok(None) => break,
            Err(FrameError::TooLong { .. }) if handler.skips_long_frames() => break,
            Err(error) => return Err(DecodeError::from(error).into()),
        };
        let Some((frame, rest)) = bytes.split_at_checked(length) else {
            break;
        };
        *bytes = rest;
        handler.on_frame(Frame {
            bytes: frame,
            shared: None,
        })?;
    }
    Ok(())
}
