//! Answers that are not read: a stream of which no part can be handed to HTTP/2 for a while,
//! because its client opens no window, is given up.
//!
//! HTTP/2 takes a part once the window has room for one byte of it, and asks for the next at once.
//! So a body that was not asked again waits for a window. Only the task of its stream can end it:
//! the body is not asked before there is one.
//!
//! The last part is taken in the same way, and its stream's task ends with it: HTTP/2 keeps what
//! the window has no room for, and nothing ends that. So while a connection has many parts that are
//! not written, an answer ends only after its parts are.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use remoting_transport::Held;
use tokio::time::{Instant, Sleep, sleep};

use crate::reply::{Chunk, End, Progress, Reply, Unwritten};

/// Parts of a connection that may wait in HTTP/2 although their answers have ended. A client that
/// reads has as many at a time as it has calls answered in one turn.
const UNWRITTEN_MAX: usize = 128;

/// The fewest bytes of a part that a client must take within the time, unless the part has fewer: a
/// client that takes one at a time must not keep its streams for ever.
const LEAST_BYTES: u64 = 1024;

/// Where the bodies of a connection leave word for the task that polls them.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    last: RefCell<Last>,
    unwritten: Unwritten,
}

/// What a body has done last, since its task has looked.
#[derive(Debug, Default)]
enum Last {
    /// It was not asked.
    #[default]
    Nothing,
    /// It has handed out a part, and was not asked for another.
    HandedOut(Option<Progress>),
    /// It has nothing to hand out yet.
    Waits,
}

/// The body of an answer that leaves word.
#[derive(Debug)]
pub struct Watched {
    body: Reply,
    watch: Rc<Watch>,
    /// The end of the part that was handed out last, if the answer goes on only then.
    end: Option<Rc<End>>,
    /// What the stream costs: one that is not read stays open.
    _held: Option<Held>,
}

impl Watched {
    pub(crate) fn new(body: Reply, watch: Rc<Watch>) -> Self {
        Self {
            body,
            watch,
            end: None,
            _held: None,
        }
    }

    /// The same with a charge that lasts until all of the answer is written.
    #[must_use]
    pub fn charged(mut self, held: Held) -> Self {
        self._held = self.body.charge(held);
        self
    }
}

impl Watched {
    /// Counts a part; returns what is written of it, if that is known.
    fn hand_out(&mut self, chunk: &mut Chunk) -> Option<Progress> {
        let unwritten = &self.watch.unwritten;
        chunk.count(unwritten);
        if unwritten.get() <= UNWRITTEN_MAX {
            return self.body.progress();
        }
        let (end, progress) = chunk.watch_end()?;
        self.end = Some(end);
        Some(progress)
    }
}

impl Body for Watched {
    type Data = Chunk;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Infallible>>> {
        if let Some(end) = &self.end {
            // Its time goes on.
            ready!(end.poll(cx));
            self.end = None;
        }
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        let last = match &mut frame {
            Poll::Ready(Some(Ok(frame))) => match frame.data_mut() {
                Some(chunk) => Last::HandedOut(self.hand_out(chunk)),
                None => Last::Waits,
            },
            _ => Last::Waits,
        };
        *self.watch.last.borrow_mut() = last;
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs a stream until it has ended, or too little of its answer was written in `time`; returns
/// whether it has ended. Dropping the stream resets it, and drops what was not written.
pub(crate) async fn run(stream: impl Future<Output = ()>, watch: &Watch, time: Duration) -> bool {
    let mut stream = pin!(stream);
    let mut stalled: Option<Stalled> = None;
    std::future::poll_fn(|cx| {
        // Of a stream that has ended since.
        watch.last.take();
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        match watch.last.take() {
            Last::Nothing => {}
            Last::Waits => stalled = None,
            Last::HandedOut(progress) => stalled = Some(Stalled::new(progress, time)),
        }
        match &mut stalled {
            Some(stalled) => stalled.poll(cx, time).map(|()| false),
            None => Poll::Pending,
        }
    })
    .await
}

/// A part that waits for a window.
struct Stalled {
    progress: Option<Progress>,
    /// What was written when the time began.
    written: u64,
    over: Pin<Box<Sleep>>,
}

impl Stalled {
    fn new(progress: Option<Progress>, time: Duration) -> Self {
        let mut stalled = Self {
            progress,
            written: 0,
            over: Box::pin(sleep(time)),
        };
        stalled.has_progressed();
        stalled
    }

    /// Whether enough was written since the last call.
    fn has_progressed(&mut self) -> bool {
        let written = self.progress.as_ref().map_or(0, |progress| progress.get());
        written >= std::mem::replace(&mut self.written, written) + LEAST_BYTES
    }

    /// Ready when too little was written in that time.
    fn poll(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        loop {
            ready!(self.over.as_mut().poll(cx));
            if !self.has_progressed() {
                return Poll::Ready(());
            }
            self.over.as_mut().reset(Instant::now() + time);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::future::{pending, poll_fn};

    use bytes::{Buf as _, Bytes};
    use http::HeaderMap;
    use remoting_transport::Account;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::reply::OnEnd;

    const TIME: Duration = Duration::from_secs(30);

    struct Note(Rc<Cell<Option<usize>>>);

    impl OnEnd for Note {
        fn written(&mut self, bytes: usize) {
            self.0.set(Some(bytes));
        }
    }

    /// An answer of two parts, and how many bytes of the first were written once it has ended.
    fn answer() -> (Reply, Rc<Cell<Option<usize>>>) {
        let account = Account::open(Rc::default());
        let written = Rc::<Cell<Option<usize>>>::default();
        let part = || Chunk::new(vec![0; 8 * LEAST_BYTES as usize].into(), &account);
        let first = part().with_end(Box::new(Note(written.clone())));
        let parts = VecDeque::from([first, part()]);
        (Reply::chunks(parts, None), written)
    }

    async fn next(body: &mut Watched) -> Chunk {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        frame.unwrap().unwrap().into_data().ok().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_which_nothing_is_taken_ends_and_its_parts_are_told() {
        let watch = Rc::<Watch>::default();
        let (reply, written) = answer();
        let mut body = Watched::new(reply, watch.clone());
        let begun = Instant::now();
        let stream = async move {
            let _first = next(&mut body).await;
            pending().await
        };
        assert!(!run(stream, &watch, TIME).await);
        assert_eq!(begun.elapsed(), TIME);
        assert_eq!(written.get(), Some(0));
    }

    /// An answer of one part of that length, and how many bytes of it were written once it has
    /// ended.
    fn answer_of_one(length: usize) -> (Reply, Rc<Cell<Option<usize>>>) {
        let account = Account::open(Rc::default());
        let written = Rc::<Cell<Option<usize>>>::default();
        let part = Chunk::new(vec![0; length].into(), &account);
        let part = part.with_end(Box::new(Note(written.clone())));
        (Reply::one(part, Some(HeaderMap::new())), written)
    }

    /// Hands out a body as HTTP/2 does that has room for some bytes of it: `take` is what becomes
    /// of the part, and the stream ends when the body does.
    async fn pipe(mut body: Watched, take: impl AsyncFnOnce(Chunk)) {
        let chunk = next(&mut body).await;
        let rest = async {
            while poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))
                .await
                .is_some()
            {}
        };
        tokio::join!(take(chunk), rest);
    }

    #[tokio::test(start_paused = true)]
    async fn many_answers_of_which_a_byte_is_taken_end() {
        let watch = Rc::<Watch>::default();
        // So many may wait in HTTP/2.
        let mut waiting = Vec::new();
        for _ in 0..UNWRITTEN_MAX {
            let mut body = Watched::new(answer_of_one(10).0, watch.clone());
            waiting.push(next(&mut body).await);
            let rest = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            assert!(rest.is_some_and(|rest| rest.is_ok_and(|rest| rest.is_trailers())));
        }
        // One that is taken whole ends at once, even if it is kept.
        let (reply, _) = answer_of_one(10);
        let whole = pipe(Watched::new(reply, watch.clone()), async |mut chunk| {
            chunk.advance(10);
            waiting.push(chunk);
        });
        let begun = Instant::now();
        assert!(run(whole, &watch, TIME).await);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        // One that is not taken ends with the time, and is dropped, however often it is polled.
        for pause in [Duration::MAX, TIME / 16] {
            let (reply, written) = answer_of_one(10);
            let stuck = pipe(Watched::new(reply, watch.clone()), async |mut chunk| {
                chunk.advance(1);
                loop {
                    sleep(pause).await;
                }
            });
            let begun = Instant::now();
            assert!(!run(stuck, &watch, TIME).await);
            assert_eq!((begun.elapsed(), written.get()), (TIME, Some(1)));
        }
        // When those that wait are written, others end before they are.
        waiting.clear();
        assert_eq!(watch.unwritten.get(), 0);
        let mut body = Watched::new(answer_of_one(10).0, watch.clone());
        let _chunk = next(&mut body).await;
        let rest = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert!(rest.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_a_byte_at_a_time_does_not_have_the_time_again() {
        let watch = Rc::<Watch>::default();
        let unwritten = watch.unwritten.clone();
        unwritten.set(UNWRITTEN_MAX);
        let (reply, written) = answer_of_one(100_000);
        let slow = pipe(Watched::new(reply, watch.clone()), async |mut chunk| {
            for _ in 0..4 {
                sleep(TIME / 2).await;
                chunk.advance(LEAST_BYTES as usize);
            }
            loop {
                sleep(TIME / 30).await;
                chunk.advance(1);
            }
        });
        let begun = Instant::now();
        assert!(!run(slow, &watch, TIME).await);
        assert!(begun.elapsed() <= TIME * 4, "{:?}", begun.elapsed());
        assert!(
            written.get() >= Some(4 * LEAST_BYTES as usize),
            "{written:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_has_the_time_again_with_each_kilobyte() {
        let watch = Rc::<Watch>::default();
        let (reply, written) = answer();
        let mut body = Watched::new(reply, watch.clone());
        let begun = Instant::now();
        let stream = async move {
            let mut first = next(&mut body).await;
            let second = next(&mut body).await;
            for _ in 0..4 {
                sleep(TIME / 2).await;
                first.advance(LEAST_BYTES as usize);
            }
            let _parts = (first, second);
            pending().await
        };
        assert!(!run(stream, &watch, TIME).await);
        assert!(begun.elapsed() > TIME * 2, "{:?}", begun.elapsed());
        assert!(begun.elapsed() <= TIME * 4, "{:?}", begun.elapsed());
        assert_eq!(written.get(), Some(4 * LEAST_BYTES as usize));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_nothing_to_send_or_is_read_goes_on() {
        let watch = Rc::<Watch>::default();
        let account = Account::open(Rc::default());
        let (sender, chunks) = mpsc::channel(1);
        let mut body = Watched::new(Reply::stream(chunks, None), watch.clone());
        let stream = async move {
            while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                drop(frame);
            }
        };
        let parts = async move {
            for _ in 0..3 {
                sleep(TIME * 3).await;
                let part = Chunk::new(Bytes::from_static(b"part"), &account);
                assert!(sender.send(Box::new(Ok(part))).await.is_ok());
            }
        };
        let ended = timeout(TIME * 20, async {
            tokio::join!(run(stream, &watch, TIME), parts).0
        });
        assert_eq!(ended.await, Ok(true));
        // A call that waits for its answer has no body yet, whatever another has left.
        let mut reset = Watched::new(answer().0, watch.clone());
        drop(next(&mut reset).await);
        let waits = run(pending(), &watch, TIME);
        assert!(timeout(TIME * 20, waits).await.is_err());
    }
}
