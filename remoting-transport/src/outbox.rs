//! The bytes that must be written to a connection.

mod queue;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use remoting_codec::{CommandView, Opaque, RemotingCommand, UpstreamOpaque};
use tokio::io::AsyncWrite;

use crate::account::Account;
use crate::buffers::Buffers;
use crate::frame::{Frame, SHARE_MIN};
use crate::metrics::Meter;

pub(crate) use queue::{Ending, Written};
use queue::{Forwarded, PIECE_MAX, Piece, Queue};

/// Bytes that wait beyond this are charged to the connections that they came from, a frame at a
/// time. Below, the charges are left out, which saves their cost on a connection that keeps up.
const UNATTRIBUTED_MAX: usize = 128 * 1024;

/// The frames that wait to be written to one connection.
///
/// All tasks of the connection's worker may put frames in; the connection's own task takes them
/// out. The outbox has no bound of its own: a task checks [`Outbox::len`] before it puts a frame
/// in, and handles the case that it is too long.
///
/// `O` is the type of the opaques on the connection: [`Opaque`](remoting_codec::Opaque) towards
/// clients, [`UpstreamOpaque`](remoting_codec::UpstreamOpaque) towards brokers and name servers.
#[derive(Debug)]
pub struct Outbox<O = Opaque> {
    buffers: Rc<Buffers>,
    meter: Arc<Meter>,
    account: Rc<Account>,
    inner: RefCell<Queue>,
    /// Whether part of a frame has arrived.
    partial: Cell<bool>,
    /// Bytes that have arrived since the connection was opened.
    received: Cell<u64>,
    side: PhantomData<O>,
}

impl Outbox {
    /// An empty outbox of a client's connection. `buffers` are those of its worker; `meter` counts
    /// its traffic.
    #[must_use]
    pub fn new(buffers: Rc<Buffers>, meter: Arc<Meter>) -> Self {
        Self::empty(buffers, meter)
    }

    /// Puts in a command of Remora's own.
    pub fn push(&self, command: &RemotingCommand) {
        self.append(|out| command.encode(out));
    }
}

impl Outbox<UpstreamOpaque> {
    /// The same for a connection to a broker or a name server.
    #[must_use]
    pub fn upstream(buffers: Rc<Buffers>, meter: Arc<Meter>) -> Self {
        Self::empty(buffers, meter)
    }
}

impl<O> Outbox<O> {
    fn empty(buffers: Rc<Buffers>, meter: Arc<Meter>) -> Self {
        Self {
            account: buffers.account(),
            buffers,
            meter,
            partial: Cell::new(false),
            received: Cell::new(0),
            inner: RefCell::default(),
            side: PhantomData,
        }
    }

    /// The account of the connection's memory.
    #[must_use]
    pub fn account(&self) -> &Rc<Account> {
        &self.account
    }

    /// Counts bytes that have arrived.
    #[inline]
    pub(crate) fn note_received(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes as u64);
        self.meter.received.add(bytes as u64);
    }

    /// Bytes that have arrived since the connection was opened.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.received.get()
    }

    /// Puts in a whole frame, unchanged.
    pub fn push_bytes(&self, frame: &[u8]) {
        self.append(|out| out.extend_from_slice(frame));
    }

    /// Puts in a command of another connection, with another opaque. A large body is shared, all
    /// else copied.
    pub fn push_relayed<F>(&self, frame: &Frame<'_>, view: &CommandView<'_, F>, opaque: O)
    where
        O: Into<i32>,
    {
        match frame.shared() {
            Some(shared) if view.body().len() >= SHARE_MIN => {
                self.append(|out| view.encode_head_with_opaque(opaque, out));
                let body = shared.slice(view.body_range());
                let mut inner = self.inner.borrow_mut();
                if inner.ending == Ending::Open {
                    inner.len += body.len();
                    self.account.add(body.len());
                    inner.pieces.push_back(Piece::Shared(body));
                }
            }
            _ => self.append(|out| {
                view.encode_head_with_opaque(opaque, out);
                out.extend_from_slice(view.body());
            }),
        }
    }

    /// The same for a command that is charged to the connection that it arrived over, while it
    /// waits.
    pub fn push_forwarded<F>(
        &self,
        frame: &Frame<'_>,
        view: &CommandView<'_, F>,
        opaque: O,
        from: &Rc<Account>,
    ) where
        O: Into<i32>,
    {
        let before = self.len();
        self.push_relayed(frame, view, opaque);
        let mut inner = self.inner.borrow_mut();
        if inner.len > UNATTRIBUTED_MAX {
            let length = inner.len.saturating_sub(before);
            self.account.take(length);
            from.forward(length);
            inner.forwarded_len += length;
            let end = inner.total + inner.len as u64;
            inner.forwarded.push_back(Forwarded {
                end,
                length,
                from: from.clone(),
            });
        }
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.borrow().len
    }

    /// Bytes that were written since the connection was opened.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.inner.borrow().total
    }

    /// Whether part of a frame has arrived, or a frame that the handler has not taken yet.
    #[must_use]
    pub fn has_partial(&self) -> bool {
        self.partial.get()
    }

    pub(crate) fn set_partial(&self, partial: bool) {
        self.partial.set(partial);
    }

    /// Whether nothing waits to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the connection has ended, or will when everything is written.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.borrow().ending != Ending::Open
    }

    /// Whether the connection has ended, or ends without writing the rest.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.inner.borrow().ending == Ending::Closed
    }

    /// Ends the connection once everything is written.
    pub fn finish(&self) {
        self.end(Ending::Finishing);
    }

    /// Ends the connection now.
    pub fn close(&self) {
        self.end(Ending::Closed);
    }

    /// Wakes the connection's task, so that it checks again whether it may read.
    pub fn wake(&self) {
        if let Some(writer) = self.inner.borrow_mut().writer.take() {
            writer.wake();
        }
    }

    /// Waits until everything in the outbox was handed to the operating system, or the connection
    /// has ended. Frames put in later do not count.
    pub async fn flushed(&self) {
        let mark = {
            let inner = self.inner.borrow();
            inner.total + inner.len as u64
        };
        poll_fn(|cx| {
            let mut inner = self.inner.borrow_mut();
            if inner.flushed >= mark || inner.ending == Ending::Closed {
                return Poll::Ready(());
            }
            inner.flush_waiters.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.inner.borrow_mut();
        if inner.ending != Ending::Open {
            return;
        }
        if inner.len == 0 {
            inner.since = Some(self.buffers.now());
        }
        let room = |piece: &Piece| matches!(piece, Piece::Own(own) if own.len() < PIECE_MAX);
        if !inner.pieces.back().is_some_and(room) {
            inner.pieces.push_back(Piece::Own(self.buffers.take()));
        }
        if let Some(Piece::Own(bytes)) = inner.pieces.back_mut() {
            let before = bytes.len();
            write(bytes);
            let added = bytes.len() - before;
            inner.len += added;
            self.account.add(added);
        }
        if let Some(writer) = inner.writer.take() {
            writer.wake();
        }
    }

    fn end(&self, ending: Ending) {
        let mut inner = self.inner.borrow_mut();
        if inner.ending == Ending::Closed {
            return;
        }
        inner.ending = ending;
        if ending == Ending::Closed {
            inner.discard(&self.buffers, &self.account);
            inner.flush_waiters.drain(..).for_each(Waker::wake);
        }
        if let Some(writer) = inner.writer.take() {
            writer.wake();
        }
    }

    /// Drops the contents: they cannot be written any more.
    pub(crate) fn discard(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.discard(&self.buffers, &self.account);
    }

    pub(crate) fn ending(&self) -> Ending {
        self.inner.borrow().ending
    }

    /// Wakes the connection's task when there is something to write.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut inner = self.inner.borrow_mut();
        match &mut inner.writer {
            Some(writer) => writer.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
    }

    /// Writes as much as the connection takes and `room` allows, and subtracts it from `room`.
    /// Ready when everything was handed to the operating system, or `room` is used up.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut S,
        room: &mut usize,
    ) -> Poll<io::Result<Written>> {
        let mut inner = self.inner.borrow_mut();
        loop {
            if inner.flushed < inner.total {
                ready!(Pin::new(&mut *stream).poll_flush(cx))?;
                inner.flushed = inner.total;
                inner.flush_waiters.drain(..).for_each(Waker::wake);
            }
            if inner.len == 0 {
                break;
            }
            if *room == 0 {
                return Poll::Ready(Ok(Written::Part));
            }
            let written = match inner.poll_write_once(cx, stream, *room) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            inner.advance(written, &self.buffers, &self.account);
            *room = room.saturating_sub(written);
            self.meter.sent.add(written as u64);
        }
        if let Some(since) = inner.since.take() {
            let waited = self.buffers.stamp().saturating_duration_since(since);
            self.meter.own.observe_duration(waited);
        }
        Poll::Ready(Ok(Written::All))
    }
}

impl<O> Drop for Outbox<O> {
    fn drop(&mut self) {
        self.discard();
    }
}

#[cfg(test)]
mod tests;
