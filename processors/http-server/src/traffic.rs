//! A connection's stream, whose bytes are counted, and of which a turn reads a limited number. Then
//! it waits for the next turn, in the queue of all busy connections of the worker.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use remoting_transport::metrics::Meter;
use remoting_transport::{Turn, Turns};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// A turn ends with the read that exceeds this number of bytes.
const TURN_BYTES: usize = 16 * 1024;

/// Most bytes of a turn after one with more than [`SHORT_CALLS`] calls: of short calls, 16 KiB are
/// over a hundred, which take 5 ms.
const SHORT_TURN_BYTES: usize = 4 * 1024;
const SHORT_CALLS: u64 = 16;

/// What a connection has read and written.
#[derive(Debug)]
pub(crate) struct Traffic {
    turns: Rc<Turns>,
    /// The place in the queue of turns.
    turn: Rc<Turn>,
    meter: Arc<Meter>,
    /// Bytes so far, in both directions together.
    bytes: Cell<u64>,
    /// Bytes that have arrived so far.
    arrived: Cell<u64>,
    /// Bytes that may be read before the turn is over.
    room: Cell<usize>,
    /// Whether its calls are short and many.
    is_short: Cell<bool>,
    /// The bytes and the calls that had arrived when the turn started.
    begun: Cell<(u64, u64)>,
    /// Since when the client's side takes no bytes that are to be written.
    blocked: Cell<Option<Instant>>,
}

impl Traffic {
    pub(crate) fn new(meter: Arc<Meter>, turns: Rc<Turns>) -> Rc<Self> {
        Rc::new(Self {
            turns,
            turn: Rc::default(),
            meter,
            bytes: Cell::new(0),
            arrived: Cell::new(0),
            room: Cell::new(TURN_BYTES),
            is_short: Cell::new(false),
            begun: Cell::default(),
            blocked: Cell::new(None),
        })
    }

    /// Bytes that have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.arrived.get()
    }

    /// Bytes so far, in both directions together.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Since when nothing could be written, although something waits.
    pub(crate) fn blocked(&self) -> Option<Instant> {
        self.blocked.get()
    }

    /// Starts a turn of the connection, unless it waits for its turn. Must be called when the
    /// connection's task is polled; `calls` is how many have arrived so far.
    pub(crate) fn begin_turn(&self, calls: u64) {
        if self.turn.waits() {
            return;
        }
        // A turn in which nothing was read says nothing about calls.
        let (arrived, calls_before) = self.begun.get();
        if arrived != self.arrived.get() {
            self.begun.set((self.arrived.get(), calls));
            self.is_short.set(calls - calls_before > SHORT_CALLS);
        }
        self.room.set(match self.is_short.get() {
            true => SHORT_TURN_BYTES,
            false => TURN_BYTES,
        });
    }

    fn note_received(&self, bytes: usize) {
        self.arrived.set(self.arrived.get() + bytes as u64);
        self.room.set(self.room.get().saturating_sub(bytes));
        self.meter.received.add(bytes as u64);
        self.bytes.set(self.bytes.get() + bytes as u64);
    }

    /// Notes a write: it has written bytes, or must wait.
    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.blocked.set(None);
                self.meter.sent.add(*bytes as u64);
                self.bytes.set(self.bytes.get() + *bytes as u64);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending if self.blocked.get().is_none() => self.blocked.set(Some(Instant::now())),
            Poll::Pending => {}
        }
    }
}

/// A stream whose bytes are counted, and which is read only as far as the turn allows.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    stream: S,
    traffic: Rc<Traffic>,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S, traffic: Rc<Traffic>) -> Self {
        Self { stream, traffic }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.traffic.room.get() == 0 {
            self.traffic.turns.wait(&self.traffic.turn, cx);
            return Poll::Pending;
        }
        if self.traffic.is_short.get() {
            let room = self.traffic.room.get().min(buffer.remaining());
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
            let read = part.filled().len();
            buffer.advance(read);
            self.traffic.note_received(read);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.traffic.note_received(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.traffic.note_written(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.traffic.note_written(&written);
        written
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::poll_fn;

    use remoting_transport::Buffers;
    use tokio::task::{LocalSet, yield_now};

    use super::*;

    /// How many connections the queue lets continue at once.
    const AT_ONCE: usize = 4;

    #[tokio::test]
    async fn connections_with_much_to_read_wait_for_each_other() {
        let buffers = Buffers::default();
        let read = Rc::<RefCell<Vec<usize>>>::default();
        let local = LocalSet::new();
        for nth in 0..3 * AT_ONCE {
            let traffic = Traffic::new(Arc::default(), buffers.turns().clone());
            let mut stream = Counted::new(tokio::io::repeat(7), traffic.clone());
            let read = read.clone();
            local.spawn_local(poll_fn(move |cx| {
                traffic.begin_turn(0);
                let mut room = [0; TURN_BYTES / 2];
                let mut buffer = ReadBuf::new(&mut room);
                while Pin::new(&mut stream).poll_read(cx, &mut buffer).is_ready() {
                    read.borrow_mut().push(nth);
                    buffer.clear();
                }
                // Woken for something else, it still waits.
                traffic.begin_turn(0);
                assert!(
                    Pin::new(&mut stream)
                        .poll_read(cx, &mut buffer)
                        .is_pending()
                );
                Poll::<()>::Pending
            }));
        }
        let counts = local
            .run_until(async {
                let mut counts = vec![0];
                while read.borrow().len() < 2 * 9 * AT_ONCE {
                    yield_now().await;
                    counts.push(read.borrow().len());
                }
                counts
            })
            .await;
        // The first turns are not waited for. A turn is two reads.
        let first = 2 * 3 * AT_ONCE;
        let steps = counts.windows(2).filter(|pair| pair[0] >= first);
        let most = steps.map(|pair| pair[1] - pair[0]).max();
        assert_eq!(most, Some(2 * AT_ONCE), "{counts:?}");
        let read = read.borrow();
        let turn: Vec<_> = (0..3 * AT_ONCE).flat_map(|nth| [nth, nth]).collect();
        assert_eq!(read[..2 * first], [turn.clone(), turn].concat());
    }

    #[tokio::test]
    async fn turns_of_short_calls_are_short() {
        let buffers = Buffers::default();
        let traffic = Traffic::new(Arc::default(), buffers.turns().clone());
        let mut stream = Counted::new(tokio::io::repeat(7), traffic.clone());
        let mut room = [0; TURN_BYTES];
        let mut read = async |calls| {
            traffic.begin_turn(calls);
            let mut buffer = ReadBuf::new(&mut room);
            poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buffer))
                .await
                .unwrap();
            buffer.filled().len()
        };
        let many = SHORT_CALLS + 1;
        assert_eq!(read(0).await, TURN_BYTES);
        assert_eq!(read(many).await, SHORT_TURN_BYTES);
        traffic.begin_turn(2 * many);
        assert_eq!(read(2 * many).await, SHORT_TURN_BYTES);
        assert_eq!(read(2 * many + SHORT_CALLS).await, TURN_BYTES);
    }
}
