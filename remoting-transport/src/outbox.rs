//! What is to be written to a connection.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use remoting_codec::{CommandView, Opaque, RemotingCommand, UpstreamOpaque};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::account::Account;
use crate::buffers::Buffers;
use crate::metrics::Meter;
use crate::pump::Frame;

/// A body from this size on is not copied but shared with the buffer that it was read into.
pub(crate) const SHARE_MIN: usize = 32 * 1024;

/// A piece that has grown to this is followed by another: what is written of a piece is only given back
/// with the whole of it, and a connection that is never idle would never give anything back.
const PIECE_MAX: usize = 64 * 1024;

/// What waits beyond this is charged to the connections that it came from, a frame at a time. Below, a connection that
/// keeps up pays nothing for that.
const UNATTRIBUTED_MAX: usize = 128 * 1024;

/// Most pieces that one write gathers.
const GATHER_MAX: usize = 16;

/// The frames that wait to be written to one connection.
///
/// Anybody on the connection's worker may put frames in; its own task takes them out. It does not
/// bound itself: whoever puts something in looks at [`Outbox::len`] first, and knows what to do when
/// that is too much.
///
/// `O` is the side of the connection: the type of the opaques under which frames are written to it.
#[derive(Debug)]
pub struct Outbox<O = Opaque> {
    buffers: Rc<Buffers>,
    meter: Arc<Meter>,
    account: Rc<Account>,
    inner: RefCell<Inner>,
    /// Whether part of a frame has arrived.
    partial: Cell<bool>,
    /// Bytes that have arrived since the beginning.
    received: Cell<u64>,
    side: PhantomData<O>,
}

#[derive(Debug, Default)]
struct Inner {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are written already.
    written: usize,
    /// Bytes that are not written yet.
    len: usize,
    /// Bytes that were written since the beginning.
    total: u64,
    /// How many of these are with the operating system; over TLS some may not be for a while.
    flushed: u64,
    /// Frames that wait and are charged to the connections that they came from, and their bytes in all.
    forwarded: VecDeque<Forwarded>,
    forwarded_len: usize,
    /// Since when the first of what waits has been waiting.
    since: Option<Instant>,
    ending: Ending,
    writer: Option<Waker>,
    flush_waiters: Vec<Waker>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Ending {
    #[default]
    Open,
    /// Everything is written, then the connection ends.
    Finishing,
    /// The connection ends now, or has ended.
    Closed,
}

/// How much of what waited has been written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Written {
    All,
    /// There was no room for more.
    Part,
}

/// A frame that came from another connection.
#[derive(Debug)]
struct Forwarded {
    /// How many bytes will have been written in all when it is.
    end: u64,
    length: usize,
    from: Rc<Account>,
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        self.from.forwarded_all(self.length);
    }
}

#[derive(Debug)]
enum Piece {
    /// Grows at its end while it is the last.
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Outbox {
    /// An empty outbox of a client's connection on the worker whose buffers these are, counted by `meter`.
    #[must_use]
    pub fn new(buffers: Rc<Buffers>, meter: Arc<Meter>) -> Self {
        Self::empty(buffers, meter)
    }

    /// Puts in a command of our own.
    pub fn push(&self, command: &RemotingCommand) {
        self.append(|out| command.encode(out));
    }
}

impl Outbox<UpstreamOpaque> {
    /// The same of a connection to a broker or a name server.
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

    /// What the connection makes its worker hold.
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

    /// Bytes that have arrived since the beginning.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.received.get()
    }

    /// Puts in a whole frame as it is.
    pub fn push_bytes(&self, frame: &[u8]) {
        self.append(|out| out.extend_from_slice(frame));
    }

    /// Puts in a command that came from another connection, under another opaque. A large body is
    /// shared, all else copied.
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

    /// The same for a command that is charged to the connection which it came from while it waits.
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

    /// Bytes that were written since the beginning.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.inner.borrow().total
    }

    /// Whether part of a frame has arrived, or a frame that is not taken yet.
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

    /// Whether the connection has ended, or is about to, whatever is not written.
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

    /// Wakes the connection's task, so that it looks again at whether it may read.
    pub fn wake(&self) {
        if let Some(writer) = self.inner.borrow_mut().writer.take() {
            writer.wake();
        }
    }

    /// Waits until everything that waits now is with the operating system, or the connection has ended.
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

    /// Forgets what waits: it cannot be written any more.
    pub(crate) fn discard(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.discard(&self.buffers, &self.account);
    }

    pub(crate) fn ending(&self) -> Ending {
        self.inner.borrow().ending
    }

    /// Has the connection's task woken when there is something to write.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        let mut inner = self.inner.borrow_mut();
        match &mut inner.writer {
            Some(writer) => writer.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
    }

    /// Writes as much as the connection takes and `room` allows, which becomes less by that. Ready when all is with the
    /// operating system, or there is no more room.
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

impl Inner {
    fn poll_write_once<S: AsyncWrite + Unpin>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut S,
        mut room: usize,
    ) -> Poll<io::Result<usize>> {
        let mut pieces = self.pieces.iter().map(Piece::bytes);
        let first = pieces.next().unwrap_or_default();
        let first = first.get(self.written..).unwrap_or_default();
        if self.pieces.len() == 1 || first.len() >= room {
            let first = first.get(..room).unwrap_or(first);
            return Pin::new(stream).poll_write(cx, first);
        }
        let mut slices = [IoSlice::new(&[]); GATHER_MAX];
        let mut used = 0;
        for (slice, bytes) in slices.iter_mut().zip(std::iter::once(first).chain(pieces)) {
            let bytes = bytes.get(..room).unwrap_or(bytes);
            *slice = IoSlice::new(bytes);
            used += 1;
            room -= bytes.len();
            if room == 0 {
                break;
            }
        }
        let slices = slices.get(..used).unwrap_or_default();
        Pin::new(stream).poll_write_vectored(cx, slices)
    }

    /// What is charged to the connection itself. A frame of another's stays charged to that until all of it is written.
    fn own_len(&self) -> usize {
        let begun = self.forwarded.front().map_or(0, |first| {
            let start = first.end - first.length as u64;
            let begun = self.total.saturating_sub(start);
            usize::try_from(begun).map_or(first.length, |begun| begun.min(first.length))
        });
        (self.len + begun).saturating_sub(self.forwarded_len)
    }

    fn discard(&mut self, buffers: &Buffers, account: &Account) {
        account.take(self.own_len());
        self.forwarded.clear();
        self.forwarded_len = 0;
        self.len = 0;
        self.written = 0;
        for piece in self.pieces.drain(..) {
            if let Piece::Own(bytes) = piece {
                buffers.give_back(bytes);
            }
        }
    }

    fn advance(&mut self, written: usize, buffers: &Buffers, account: &Account) {
        let before = self.own_len();
        self.len = self.len.saturating_sub(written);
        self.total += written as u64;
        while let Some(first) = self.forwarded.front()
            && first.end <= self.total
        {
            self.forwarded_len -= first.length;
            self.forwarded.pop_front();
        }
        let now = self.own_len();
        match now > before {
            true => account.add(now - before),
            false => account.take(before - now),
        }
        self.written += written;
        while let Some(first) = self.pieces.front() {
            let length = first.bytes().len();
            if self.written < length {
                return;
            }
            self.written -= length;
            if let Some(Piece::Own(bytes)) = self.pieces.pop_front() {
                buffers.give_back(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use remoting_codec::RequestCode;

    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn a_connection_that_is_never_idle_gives_memory_back() {
        let outbox = Outbox::new(Rc::default(), Arc::default());
        let (mut near, mut far) = duplex(10_000);
        let mut read = vec![0; 10_000];
        outbox.push_bytes(&[7; 20_000]);
        for _ in 0..1_000 {
            outbox.push_bytes(&[7; 10_000]);
            let write = poll_fn(|cx| outbox.poll_write(cx, &mut near, &mut { usize::MAX }));
            tokio::select! {
                biased;
                read = far.read_exact(&mut read) => assert!(read.is_ok()),
                _ = write => panic!("everything is written"),
            }
            assert!(!outbox.is_empty());
        }
        let inner = outbox.inner.borrow();
        let held: usize = inner.pieces.iter().map(|piece| piece.bytes().len()).sum();
        assert!(
            held <= 3 * PIECE_MAX,
            "{held} bytes are held for {}",
            inner.len
        );
    }

    #[tokio::test]
    async fn flushed_means_what_was_there_before() {
        let outbox = Outbox::new(Rc::default(), Arc::default());
        let (mut near, _far) = duplex(100);
        outbox.push_bytes(&[1; 50]);
        let mut flushed = Box::pin(outbox.flushed());
        assert!(timeout(MOMENT, flushed.as_mut()).await.is_err());
        outbox.push_bytes(&[1; 100]);
        poll_fn(|cx| Poll::Ready(outbox.poll_write(cx, &mut near, &mut { usize::MAX })))
            .await
            .is_ready();
        assert!(!outbox.is_empty());
        assert!(timeout(MOMENT, flushed.as_mut()).await.is_ok());
    }

    #[tokio::test]
    async fn what_waits_is_charged_to_where_it_came_from_until_it_is_written() {
        let buffers = Rc::<Buffers>::default();
        let outbox = Outbox::new(buffers.clone(), Arc::default());
        let sender = buffers.account();
        let body = vec![7; 100_000];
        let frame = RemotingCommand::request(RequestCode::SEND_MESSAGE)
            .with_body(body)
            .to_bytes();
        let view = CommandView::decode(&frame).unwrap();
        for _ in 0..10 {
            outbox.push_forwarded(&Frame::of(&frame), &view, Opaque(1), &sender);
        }
        let in_all = outbox.len();
        assert_eq!(sender.held() + outbox.account().held(), in_all);
        assert_eq!(sender.held(), sender.forwarded());
        assert!(sender.held() > 800_000);
        let (mut near, mut far) = duplex(64 * 1024);
        let mut read = vec![0; in_all];
        let write = poll_fn(|cx| outbox.poll_write(cx, &mut near, &mut { usize::MAX }));
        let (written, read) = tokio::join!(write, far.read_exact(&mut read));
        assert!(written.is_ok() && read.is_ok());
        assert_eq!((sender.held(), outbox.account().held()), (0, 0));
        for _ in 0..10 {
            outbox.push_forwarded(&Frame::of(&frame), &view, Opaque(1), &sender);
        }
        outbox.close();
        assert_eq!((sender.held(), outbox.account().held()), (0, 0));
    }

    #[tokio::test]
    async fn what_is_written_in_parts_is_charged_once() {
        let buffers = Rc::<Buffers>::default();
        let outbox = Outbox::new(buffers.clone(), Arc::default());
        let sender = buffers.account();
        let (mut near, mut far) = duplex(1 << 20);
        let frame = RemotingCommand::request(RequestCode::SEND_MESSAGE)
            .with_body(vec![7; 100_000])
            .to_bytes();
        let view = CommandView::decode(&frame).unwrap();
        let mut read = vec![0; 1 << 20];
        for room in [150_000, 101_000, 7, 199_999, 60_000] {
            outbox.push_forwarded(&Frame::of(&frame), &view, Opaque(1), &sender);
            outbox.push_forwarded(&Frame::of(&frame), &view, Opaque(1), &sender);
            for mut room in [room, usize::MAX] {
                poll_fn(|cx| Poll::Ready(outbox.poll_write(cx, &mut near, &mut room)))
                    .await
                    .is_ready();
                let _ = far.read(&mut read).await;
                let all = sender.held() + outbox.account().held();
                assert!(all >= outbox.len(), "{all} of {}", outbox.len());
                assert!(
                    all <= outbox.len() + frame.len(),
                    "{all} of {}",
                    outbox.len()
                );
                // Others' are charged as they are put in, though the first frame is half written.
                outbox.push_bytes(&[7; 60_000]);
            }
            while !outbox.is_empty() {
                let mut room = usize::MAX;
                let write = poll_fn(|cx| outbox.poll_write(cx, &mut near, &mut room));
                let read = far.read(&mut read);
                let _ = tokio::join!(write, read);
            }
            assert_eq!((sender.held(), outbox.account().held()), (0, 0), "{room}");
        }
    }
}
