//! The task of a connection.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use remoting_codec::{
    DecodeError, FRAME_PREFIX, FrameError, FrameLimits, frame_length, head_length,
};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;
use tokio_util::io::poll_read_buf;

use crate::account::Held;
use crate::buffers::Buffers;
use crate::outbox::{Ending, Outbox, SHARE_MIN, Written};
use crate::turns::Turn;

/// Reads in a row before other connections get their turn.
const READS_MAX: usize = 8;

/// Bytes that one turn reads, and that it writes, before other connections get theirs: large frames take long to copy. One
/// that is shared by many gets more, and writes as much as it can.
const TURN_BYTES: u64 = 64 * 1024;
const SHARED_TURN_BYTES: u64 = 256 * 1024;

/// What is read of a connection whose handler takes nothing at the moment, so that its end is noticed.
const READ_AHEAD: usize = 64 * 1024;

/// What one read takes while so much is held that shares count: what is no whole frame yet is kept.
const TIGHT_READ: usize = 4 * 1024;

/// How often a connection that cannot be written any more gets its turn to be read to its end. What is left is what the
/// kernel had room for.
const LAST_TURNS_MAX: usize = 256;

/// Bytes of a frame that say how long it is.
const LENGTH_FIELD: usize = 4;

/// Room that is made for a frame that has begun: a peer that announces 16 MiB must send so much of them before it gets room
/// for the rest. That is made once, for to copy what has come again and again takes long; what is not filled takes no memory.
const PARTIAL_MAX: usize = 256 * 1024;

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
    pub(crate) fn shared(&self) -> Option<&'a Bytes> {
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
/// `handler`. `limits` is what a frame may measure.
///
/// # Errors
/// When the connection ends in any other way than by being closed, here or there.
pub async fn pump<S, H, O>(
    stream: &mut S,
    outbox: &Outbox<O>,
    buffers: &Buffers,
    limits: FrameLimits,
    handler: &H,
) -> Result<(), PumpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: FrameHandler,
{
    let mut inbox = Inbox {
        partial: BytesMut::new(),
        held: outbox.account().hold(0),
        limits,
        passed_over: 0,
        turn_read: 0,
        room: 0,
        turn: Rc::default(),
        has_ended: false,
        is_unwritable: false,
    };
    let ended = poll_fn(|cx| inbox.poll(cx, stream, outbox, buffers, handler)).await;
    if inbox.is_unwritable {
        outbox.discard();
        for _ in 0..LAST_TURNS_MAX {
            // Lets the runtime look at the socket: of what came last it may not know yet.
            yield_now().await;
            let is_over = poll_fn(|cx| {
                let is_over = inbox.hear_out(cx, stream, outbox, buffers, handler);
                Poll::Ready(is_over)
            });
            if is_over.await {
                break;
            }
        }
    }
    ended
}

/// Tells the peer of a connection that has ended that nothing more comes, as far as that can be done at once: over TLS an
/// end that was not announced might have been made by somebody else.
pub async fn say_farewell<S: AsyncWrite + Unpin>(stream: &mut S) {
    poll_fn(|cx| {
        let _ = Pin::new(&mut *stream).poll_shutdown(cx);
        Poll::Ready(())
    })
    .await;
}

/// The reading side.
struct Inbox {
    /// The beginning of what could not be handed on yet: a frame that has not all arrived, or frames
    /// that the handler was not ready for.
    partial: BytesMut,
    /// What `partial` takes.
    held: Held,
    limits: FrameLimits,
    /// Bytes of a frame that is passed over which have not come yet.
    passed_over: u64,
    /// Bytes that were read in this turn.
    turn_read: u64,
    /// Bytes that this turn may still write.
    room: usize,
    /// The place among those that wait for a turn.
    turn: Rc<Turn>,
    /// The peer says nothing more; what it has said is not all taken yet.
    has_ended: bool,
    /// A write has failed.
    is_unwritable: bool,
}

impl Inbox {
    fn poll<S, H, O>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        outbox: &Outbox<O>,
        buffers: &Buffers,
        handler: &H,
    ) -> Poll<Result<(), PumpError>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        H: FrameHandler,
    {
        let waits_for_turns = handler.waits_for_turns();
        let turn_bytes = match waits_for_turns {
            true => TURN_BYTES,
            false => SHARED_TURN_BYTES,
        };
        let has_come = self.turn.has_come();
        if waits_for_turns && !has_come && self.missing()? >= TURN_BYTES as usize {
            // Every part of a long frame is worth a turn, though the peer may send them one by one.
            buffers.turns().wait(&self.turn, cx);
        }
        if !self.turn.waits() {
            handler.begin_turn();
            self.turn_read = 0;
            self.room = match waits_for_turns {
                true => TURN_BYTES as usize,
                false => usize::MAX,
            };
        }
        for _ in 0..READS_MAX {
            let written = self.write(cx, stream, outbox, handler)?;
            match outbox.ending() {
                Ending::Open => {}
                Ending::Finishing => {
                    if written == Poll::Ready(Written::Part) {
                        break;
                    }
                    // What is written last must arrive, so the peer gets an orderly end.
                    ready!(written_or_registered(written, outbox, cx));
                    // A peer that reads no more may keep the announcement of the end waiting.
                    outbox.register(cx);
                    return Pin::new(stream).poll_shutdown(cx).map_err(PumpError::Io);
                }
                Ending::Closed => return Poll::Ready(Ok(())),
            }
            if self.turn.waits() {
                outbox.register(cx);
                return Poll::Pending;
            }
            if written == Poll::Ready(Written::Part) {
                break;
            }
            if !self.partial.is_empty() {
                self.hand_on_partial(handler)?;
            }
            if handler.is_turn_over() || self.turn_read >= turn_bytes {
                break;
            }
            if !handler.is_ready() {
                // What was handed on may have filled the outbox since the last write, and nothing else wakes this task for it.
                let written = self.write(cx, stream, outbox, handler)?;
                if handler.is_ready() {
                    continue;
                }
                if written == Poll::Ready(Written::Part) {
                    break;
                }
                outbox.register(cx);
                outbox.account().register(cx.waker());
                self.read_ahead(cx, stream, outbox, handler);
                return Poll::Pending;
            }
            if self.has_ended {
                return Poll::Ready(Ok(()));
            }
            match self.poll_read(cx, stream, outbox, buffers, handler)? {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(Ok(())),
                // Frames were handed on since the last write; what they made us say goes now.
                Poll::Pending if outbox.ending() == Ending::Open => {
                    outbox.set_partial(!self.partial.is_empty() || self.passed_over > 0);
                    if self.write(cx, stream, outbox, handler)? == Poll::Ready(Written::Part) {
                        break;
                    }
                    outbox.register(cx);
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
        }
        // What the turn has left to be written goes now.
        let _ = self.write(cx, stream, outbox, handler)?;
        if waits_for_turns {
            outbox.register(cx);
            buffers.turns().wait(&self.turn, cx);
        } else {
            go_on_later(cx);
        }
        Poll::Pending
    }

    /// Reads a little of what the handler does not take now, and puts it by, so that the end of the stream is noticed: a peer
    /// that is gone may have left what keeps the handler from taking more.
    fn read_ahead<S, H, O>(
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

    fn write<S: AsyncWrite + Unpin, H: FrameHandler, O>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        outbox: &Outbox<O>,
        handler: &H,
    ) -> Poll<io::Result<Written>> {
        let written = match handler.write_credit() {
            None => outbox.poll_write(cx, stream, &mut self.room),
            Some(credit) => {
                let mut room = credit.get();
                let written = outbox.poll_write(cx, stream, &mut room);
                credit.set(room);
                match written {
                    // More credit wakes the task, as more room with the peer would.
                    Poll::Ready(Ok(Written::Part)) => Poll::Pending,
                    written => written,
                }
            }
        };
        self.is_unwritable |= matches!(written, Poll::Ready(Err(_)));
        written
    }

    /// Hands on some of what the peer said before it stopped to take anything: a client that stops says how far it has
    /// consumed, and closes with answers unread; a broker's answers may be ahead of its end. True when that was all.
    fn hear_out<S, H, O>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        outbox: &Outbox<O>,
        buffers: &Buffers,
        handler: &H,
    ) -> bool
    where
        S: AsyncRead + Unpin,
        H: FrameHandler,
    {
        handler.begin_turn();
        if self.hand_on_partial(handler).is_err() {
            return true;
        }
        for _ in 0..READS_MAX {
            if outbox.ending() == Ending::Closed || !handler.is_ready() {
                return true;
            }
            if handler.is_turn_over() {
                return false;
            }
            let read = self.poll_read(cx, stream, outbox, buffers, handler);
            if !matches!(read, Poll::Ready(Ok(true))) {
                return true;
            }
        }
        false
    }

    /// Reads once and hands on what is whole; false at the end of the stream.
    fn poll_read<S, H, O>(
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
    fn missing(&self) -> Result<usize, PumpError> {
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
    fn hand_on_partial<H: FrameHandler>(&mut self, handler: &H) -> Result<(), PumpError> {
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

/// Pending, and woken when something changes, unless everything is written.
fn written_or_registered<O>(
    written: Poll<Written>,
    outbox: &Outbox<O>,
    cx: &Context<'_>,
) -> Poll<()> {
    let written = written.map(drop);
    if written.is_pending() {
        outbox.register(cx);
    }
    written
}

/// Has the task polled again once the runtime has looked at all sockets: a task that wakes itself is queued at once, and
/// while any is queued, the runtime looks at sockets after every 61st task only. Others would wait for as many turns.
fn go_on_later(cx: &mut Context<'_>) {
    let yielded = pin!(yield_now()).poll(cx);
    debug_assert!(yielded.is_pending(), "it wakes the task later");
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

#[cfg(test)]
mod tests;
