//! The task of a connection.

mod reading;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use remoting_codec::{DecodeError, FrameLimits};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::yield_now;

use crate::account::Held;
use crate::buffers::Buffers;
use crate::handler::FrameHandler;
use crate::outbox::{Ending, Outbox, Written};
use crate::turns::Turn;

/// Reads in a row before other connections get their turn.
const READS_MAX: usize = 8;

/// Bytes that one turn reads, and that it writes, before other connections get theirs: large frames take long to copy. One
/// that is shared by many gets more, and writes as much as it can.
const TURN_BYTES: u64 = 64 * 1024;
const SHARED_TURN_BYTES: u64 = 256 * 1024;

/// How often a connection that cannot be written any more gets its turn to be read to its end. What is left is what the
/// kernel had room for.
const LAST_TURNS_MAX: usize = 256;

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

#[cfg(test)]
mod tests;
