//! The task of a connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use remoting_codec::{DecodeError, frame_length};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::buffers::Buffers;
use super::outbox::{Ending, Outbox, SHARE_MIN};

/// Reads in a row before other connections get their turn.
const READS_MAX: usize = 8;

/// Room made for a frame that has begun, when more is not known to be needed.
const PARTIAL_MIN: usize = 4 * 1024;

/// Most room made at once for a frame that has begun: a peer that announces 16 MiB must send them
/// before it gets them.
const PARTIAL_MAX: usize = 1024 * 1024;

/// A whole frame that has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    shared: Option<&'a Bytes>,
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

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The buffer that is the frame's own and can be kept, if it has one: a large frame does.
    pub(super) fn shared(&self) -> Option<&'a Bytes> {
        self.shared
    }

    /// The frame to keep: shared if it can be, else copied.
    #[must_use]
    pub fn to_owned(&self) -> Bytes {
        match self.shared {
            Some(shared) => shared.clone(),
            None => Bytes::copy_from_slice(self.bytes),
        }
    }
}

/// Who gets a connection's frames.
pub trait FrameHandler {
    /// Takes a frame. Must not wait for anything.
    ///
    /// # Errors
    /// When the frame cannot be read: the connection ends.
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError>;

    /// Whether another frame may come now. While it may not, the peer is not read. Asked again
    /// whenever the connection's outbox is woken.
    fn is_ready(&self) -> bool {
        true
    }
}

/// Why a connection ended.
#[derive(Debug, Error)]
pub enum PumpError {
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer sent what cannot be read.
    #[error(transparent)]
    Protocol(#[from] DecodeError),
}

/// Runs a connection until either side ends it: writes what is in `outbox`, hands what arrives to
/// `handler`. `limit` is the most bytes that a frame may have.
///
/// # Errors
/// When the connection ends in any other way than by being closed, here or there.
pub async fn pump<S, H>(
    stream: &mut S,
    outbox: &Outbox,
    buffers: &Buffers,
    limit: usize,
    handler: &H,
) -> Result<(), PumpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: FrameHandler,
{
    let mut inbox = Inbox {
        partial: BytesMut::new(),
        limit,
    };
    poll_fn(|cx| inbox.poll(cx, stream, outbox, buffers, handler)).await
}

/// The reading side.
struct Inbox {
    /// The beginning of what could not be handed on yet: a frame that has not all arrived, or frames
    /// that the handler was not ready for.
    partial: BytesMut,
    limit: usize,
}

impl Inbox {
    fn poll<S, H>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        outbox: &Outbox,
        buffers: &Buffers,
        handler: &H,
    ) -> Poll<Result<(), PumpError>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        H: FrameHandler,
    {
        for _ in 0..READS_MAX {
            let written = outbox.poll_write(cx, stream)?;
            match outbox.ending() {
                Ending::Open => {}
                Ending::Finishing => {
                    // What is written last must arrive, so the peer gets an orderly end.
                    ready!(written_or_registered(written, outbox, cx));
                    return Pin::new(stream).poll_shutdown(cx).map_err(PumpError::Io);
                }
                Ending::Closed => return Poll::Ready(Ok(())),
            }
            if !self.partial.is_empty() {
                self.hand_on_partial(handler)?;
            }
            if !handler.is_ready() {
                outbox.register(cx);
                return Poll::Pending;
            }
            match self.poll_read(cx, stream, buffers, handler)? {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(Ok(())),
                // Frames were handed on since the last write; what they made us say goes now.
                Poll::Pending if outbox.ending() == Ending::Open => {
                    let _ = outbox.poll_write(cx, stream)?;
                    outbox.register(cx);
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once and hands on what is whole; false at the end of the stream.
    fn poll_read<S, H>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        buffers: &Buffers,
        handler: &H,
    ) -> Poll<Result<bool, PumpError>>
    where
        S: AsyncRead + Unpin,
        H: FrameHandler,
    {
        if self.partial.is_empty() {
            let mut read = buffers.read();
            let mut buffer = ReadBuf::new(&mut read);
            ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(false));
            }
            let used = hand_on(bytes, self.limit, handler)?;
            let rest = bytes.get(used..).unwrap_or_default();
            if !rest.is_empty() {
                self.partial.reserve(rest.len() + self.room_for(rest)?);
                self.partial.extend_from_slice(rest);
            }
        } else {
            let room = self.room_for(&self.partial)?;
            self.partial.reserve(room);
            if ready!(poll_read_buf(Pin::new(stream), cx, &mut self.partial))? == 0 {
                return Poll::Ready(Ok(false));
            }
            self.hand_on_partial(handler)?;
        }
        Poll::Ready(Ok(true))
    }

    /// Hands on the whole frames at the front of what has been put by.
    fn hand_on_partial<H: FrameHandler>(&mut self, handler: &H) -> Result<(), PumpError> {
        while handler.is_ready() {
            let length = match frame_length(&self.partial, self.limit).map_err(DecodeError::from)? {
                Some(length) if length <= self.partial.len() => length,
                _ => break,
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
        Ok(())
    }

    /// How much more room the frame that begins with `bytes` should get.
    fn room_for(&self, bytes: &[u8]) -> Result<usize, PumpError> {
        let length = frame_length(bytes, self.limit).map_err(DecodeError::from)?;
        let missing = length.unwrap_or_default().saturating_sub(bytes.len());
        // A frame that is whole already waits for the handler: a little room keeps the read honest.
        Ok(missing.clamp(PARTIAL_MIN, PARTIAL_MAX.max(bytes.len())))
    }
}

/// Pending, and woken when something changes, unless everything is written.
fn written_or_registered(written: Poll<()>, outbox: &Outbox, cx: &Context<'_>) -> Poll<()> {
    if written.is_pending() {
        outbox.register(cx);
    }
    written
}

/// Hands on the whole frames at the front of `bytes`; answers how many bytes those were.
fn hand_on<H: FrameHandler>(bytes: &[u8], limit: usize, handler: &H) -> Result<usize, PumpError> {
    let mut used = 0;
    while handler.is_ready() {
        let rest = bytes.get(used..).unwrap_or_default();
        let Some(length) = frame_length(rest, limit).map_err(DecodeError::from)? else {
            break;
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
