//! The task of a connection.

mod reading;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use remoting_codec::{DecodeError, FrameError, FrameLimits};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::yield_now;

use crate::account::Held;
use crate::buffers::Buffers;
use crate::handler::FrameHandler;
use crate::outbox::{Ending, Outbox, Written};
use crate::turns::Turn;

/// Most reads of a turn, before other connections get theirs.
const READS_MAX: usize = 8;

/// Most bytes that one turn reads, and that it writes, before other connections get theirs: large
/// frames take long to copy. A connection that many clients share reads more, and writes as much as
/// it can.
const TURN_BYTES: u64 = 64 * 1024;
const SHARED_TURN_BYTES: u64 = 256 * 1024;

/// How many turns a connection that cannot be written any more gets to be read to its end. The rest
/// is at most the kernel's buffer.
const LAST_TURNS_MAX: usize = 256;

/// Why a connection ended.
#[derive(Debug, Error)]
pub enum PumpError {
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer sent bytes that cannot be read.
    #[error(transparent)]
    Protocol(#[from] DecodeError),
    /// The first bytes announce a frame over the limit: they may be of another protocol.
    #[error("{error}")]
    NoFrame {
        /// All bytes that were read so far, for a reader of another protocol.
        read: Bytes,
        /// The error of reading them as a frame.
        error: DecodeError,
    },
}

/// Runs a connection until either side ends it: writes the contents of `outbox`, and passes frames
/// that arrive to `handler`. `limits` applies to these frames.
///
/// # Errors
/// When the connection ends, except when either side closes it.
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
        skipped: 0,
        turn_read: 0,
        room: 0,
        turn: Rc::default(),
        has_ended: false,
        is_unwritable: false,
    };
    let ended = poll_fn(|cx| inbox.poll(cx, stream, outbox, buffers, handler)).await;
    let ended = ended.map_err(|error| inbox.tell_foreign(error, outbox.bytes_received()));
    if inbox.is_unwritable {
        outbox.discard();
        for _ in 0..LAST_TURNS_MAX {
            // Lets the runtime poll the socket: it may not know yet of the bytes that arrived last.
            yield_now().await;
            let is_over = poll_fn(|cx| {
                let is_over = inbox.drain_input(cx, stream, outbox, buffers, handler);
                Poll::Ready(is_over)
            });
            if is_over.await {
                break;
            }
        }
    }
    ended
}

/// Announces the end of a connection to the peer, if that is possible without waiting. Over TLS, an
/// end without an announcement might be an attacker's.
pub async fn announce_end<S: AsyncWrite + Unpin>(stream: &mut S) {
    poll_fn(|cx| {
        let _ = Pin::new(&mut *stream).poll_shutdown(cx);
        Poll::Ready(())
    })
    .await;
}

/// The reading side of a connection.
struct Inbox {
    /// Buffered bytes that could not be passed on yet: part of a frame, or frames that the handler
    /// was not ready for.
    partial: BytesMut,
    /// The charge for `partial`.
    held: Held,
    limits: FrameLimits,
    /// Bytes of a skipped frame that have not arrived yet.
    skipped: u64,
    /// Bytes that were read in this turn.
    turn_read: u64,
    /// Bytes that this turn may still write.
    room: usize,
    /// The place in the queue of turns.
    turn: Rc<Turn>,
    /// The peer has ended its side; the handler has not taken all frames yet.
    has_ended: bool,
    /// A write has failed.
    is_unwritable: bool,
}

impl Inbox {
    /// The error of a connection whose first bytes are no frame, with these bytes: as lengths, the
    /// letters that other protocols begin with are over any limit.
    fn tell_foreign(&mut self, error: PumpError, received: u64) -> PumpError {
        match error {
            PumpError::Protocol(error @ DecodeError::Frame(FrameError::TooLong { .. }))
                if self.partial.len() as u64 == received =>
            {
                let read = self.partial.split().freeze();
                PumpError::NoFrame { read, error }
            }
            error => error,
        }
    }

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
        let takes_turn = self.turn.takes_turn();
        if waits_for_turns && !takes_turn && self.missing()? >= TURN_BYTES as usize {
            // Each part of a long frame costs a turn, even if the peer sends the parts one by one.
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
                    // The last bytes must arrive, so the connection ends in order.
                    ready!(written_or_registered(written, outbox, cx));
                    // A peer that does not read may block the announcement of the end.
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
                self.pass_on_partial(handler)?;
            }
            if handler.is_turn_over() || self.turn_read >= turn_bytes {
                break;
            }
            if !handler.is_ready() {
                // The handler may have put frames into the outbox since the last write, and nothing
                // else wakes this task for them.
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
                // Frames were passed to the handler since the last write; write the answers now.
                Poll::Pending if outbox.ending() == Ending::Open => {
                    outbox.set_partial(!self.partial.is_empty() || self.skipped > 0);
                    if self.write(cx, stream, outbox, handler)? == Poll::Ready(Written::Part) {
                        break;
                    }
                    outbox.register(cx);
                    return Poll::Pending;
                }
                Poll::Pending => {}
            }
        }
        // Write what this turn has put into the outbox.
        let _ = self.write(cx, stream, outbox, handler)?;
        if waits_for_turns {
            outbox.register(cx);
            buffers.turns().wait(&self.turn, cx);
        } else {
            poll_again_later(cx);
        }
        Poll::Pending
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
                    // More credit wakes the task, as a writable socket would.
                    Poll::Ready(Ok(Written::Part)) => Poll::Pending,
                    written => written,
                }
            }
        };
        self.is_unwritable |= matches!(written, Poll::Ready(Err(_)));
        written
    }

    /// Passes on frames that the peer sent before it stopped reading: a stopping client sends its
    /// offsets and closes without reading the answers, and a broker's answers may precede its end.
    /// Returns true when there are no more.
    fn drain_input<S, H, O>(
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
        if self.pass_on_partial(handler).is_err() {
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
}

/// Ready when everything is written; otherwise pending, and woken on a change.
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

/// Makes the runtime poll the task again after it has polled all sockets. A task that wakes itself
/// is queued immediately, and while tasks are queued, the runtime polls the sockets after every
/// 61st task only: other connections would wait for as many turns.
fn poll_again_later(cx: &mut Context<'_>) {
    let yielded = pin!(yield_now()).poll(cx);
    debug_assert!(yielded.is_pending(), "it wakes the task later");
}

#[cfg(test)]
mod tests;
