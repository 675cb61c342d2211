//! How bytes that arrive become frames.

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

/// What is read of a connection whose handler takes nothing at the moment, so that its end is noticed.
const READ_AHEAD: usize = 64 * 1024;

/// What one read takes while so much is held that shares count: what is no whole frame yet is kept.
const TIGHT_READ: usize = 4 * 1024;

/// Bytes of a frame that say how long it is.
const LENGTH_FIELD: usize = 4;

/// Room that is made for a frame that has begun: a peer that announces 16 MiB must send so much of them before it gets room
/// for the rest. That is made once, for to copy what has come again and again takes long; what is not filled takes no memory.
const PARTIAL_MAX: usize = 256 * 1024;

impl Inbox {
    /// Reads a little of what the handler does not take now, and puts it by, so that the end of the stream is noticed: a peer
    /// that is gone may have left what keeps the handler from taking more.
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
                // What it said before is heard.
                Ok(0) | Err(_) => {
                    self.has_ended = true;
                    handler.peer_ended();
                }
                Ok(bytes) => outbox.note_received(bytes),
            }
        }
    }

    /// Reads once and hands on what is whole; false at the end of the stream.
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
            // A long frame is read into its own buffer, and nothing behind it.
            self.make_room(missing, read.len());
            // The kernel may have megabytes of it.
            let mut room = (&mut self.partial).limit(read.len());
            let bytes = ready!(poll_read_buf(Pin::new(stream), cx, &mut room))?;
            self.charge();
            self.turn_read += bytes as u64;
            buffers.stamp();
            outbox.note_received(bytes);
            self.hand_on_partial(handler)?;
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

    /// Makes room for some of what a long frame still lacks, `least` if it lacks so much.
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

    /// Completes the frame that has begun, hands on what is whole, and puts the rest by.
    fn take_in<H: FrameHandler>(&mut self, bytes: &[u8], handler: &H) -> Result<(), PumpError> {
        let mut bytes = self.pass_over(bytes);
        while !self.partial.is_empty() {
            let missing = self.missing()?;
            let (completing, rest) = bytes.split_at(missing.min(bytes.len()));
            self.partial.extend_from_slice(completing);
            bytes = rest;
            self.hand_on_partial(handler)?;
            if bytes.is_empty() || !may_go_on(handler) {
                break;
            }
        }
        bytes = self.pass_over(bytes);
        let used = if self.partial.is_empty() {
            hand_on(bytes, self.limits, handler)?
        } else {
            0
        };
        let rest = bytes.get(used..).unwrap_or_default();
        if !rest.is_empty() {
            self.partial.extend_from_slice(rest);
        }
        self.charge();
        Ok(())
    }

    /// What is left of these bytes behind the frame that is passed over, if one is.
    #[inline]
    fn pass_over<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.passed_over == 0 {
            return bytes;
        }
        let now = usize::try_from(self.passed_over).map_or(bytes.len(), |all| all.min(bytes.len()));
        self.passed_over -= now as u64;
        bytes.get(now..).unwrap_or_default()
    }

    /// How many bytes the frame at the front of what has been put by still lacks, as far as is known;
    /// none when nothing has, or when it is whole and waits for the handler.
    pub(super) fn missing(&self) -> Result<usize, PumpError> {
        if self.partial.is_empty() {
            return Ok(0);
        }
        let length = match frame_length(&self.partial, self.limits) {
            Ok(length) => length.unwrap_or(LENGTH_FIELD),
            // It is passed over once its header is there.
            Err(FrameError::TooLong { .. }) => {
                let head = head_length(&self.partial, self.limits).map_err(DecodeError::from)?;
                head.unwrap_or(FRAME_PREFIX)
            }
            Err(error) => return Err(DecodeError::from(error).into()),
        };
        Ok(length.saturating_sub(self.partial.len()))
    }

    /// Hands on the whole frames at the front of what has been put by.
    pub(super) fn hand_on_partial<H: FrameHandler>(
        &mut self,
        handler: &H,
    ) -> Result<(), PumpError> {
        while may_go_on(handler) {
            let length = match frame_length(&self.partial, self.limits) {
                Ok(Some(length)) if length <= self.partial.len() => length,
                Ok(_) => break,
                Err(FrameError::TooLong { length, .. }) if handler.passes_over() => {
                    let head =
                        head_length(&self.partial, self.limits).map_err(DecodeError::from)?;
                    let Some(head) = head.and_then(|head| self.partial.get(..head)) else {
                        break;
                    };
                    handler.on_long_frame(head, length)?;
                    self.passed_over = length;
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

    /// Charges what has been put by.
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

/// Hands on the whole frames at the front of `bytes`; answers how many bytes those were.
fn hand_on<H: FrameHandler>(
    bytes: &[u8],
    limits: FrameLimits,
    handler: &H,
) -> Result<usize, PumpError> {
    let mut used = 0;
    while may_go_on(handler) {
        let rest = bytes.get(used..).unwrap_or_default();
        let length = match frame_length(rest, limits) {
            Ok(Some(length)) => length,
            // Of a frame that is too long, the head is put by.
            Ok(None) => break,
            Err(FrameError::TooLong { .. }) if handler.passes_over() => break,
            Err(error) => return Err(DecodeError::from(error).into()),
        };
        let Some(frame) = rest.get(..length) else {
            break;
        };
        handler.on_frame(Frame {
            bytes: frame,
            shared: None,
        })?;
        used += length;
    }
    Ok(used)
}
