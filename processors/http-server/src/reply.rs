//! The bodies of answers: chunks, then trailers if the protocol has some.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use remoting_transport::{Account, Held};
use tokio::sync::mpsc;

/// Bytes of an answer that were written so far.
pub(crate) type Progress = Rc<Cell<u64>>;

/// How many chunks of a connection HTTP has taken and not written yet.
pub(crate) type Unwritten = Rc<Cell<usize>>;

/// Bytes of an answer, charged to the client's account until they are written.
pub struct Chunk {
    bytes: Bytes,
    length: usize,
    on_end: Option<Box<dyn OnEnd>>,
    /// What was written of the answer that it is a part of, if that has several.
    progress: Option<Progress>,
    /// Counts it from when HTTP has taken it.
    unwritten: Option<Unwritten>,
    /// What the rest of its answer waits for, if it waits until this is written.
    end: Option<Rc<End>>,
    _held: Held,
    /// What its stream costs, if it is the last of an answer: HTTP/2 keeps the stream until it is
    /// written.
    _stream: Option<Held>,
}

/// Receives, at a chunk's end, the number of its bytes that were written.
pub trait OnEnd {
    /// So many of the chunk's bytes were written to the connection; the others never will be.
    fn written(&mut self, bytes: usize);
}

impl Chunk {
    /// A chunk of these bytes, charged to the account until the chunk is dropped.
    #[must_use]
    pub fn new(bytes: Bytes, account: &Rc<Account>) -> Self {
        Self {
            _held: account.hold(bytes.len()),
            length: bytes.len(),
            on_end: None,
            progress: None,
            unwritten: None,
            end: None,
            bytes,
            _stream: None,
        }
    }

    /// Tells how many of its bytes were written, once it is known.
    #[must_use]
    pub fn with_end(mut self, on_end: Box<dyn OnEnd>) -> Self {
        self.on_end = Some(on_end);
        self
    }

    /// Counts it until it is written; HTTP takes it now.
    pub(crate) fn count(&mut self, unwritten: &Unwritten) {
        unwritten.set(unwritten.get() + 1);
        self.unwritten = Some(unwritten.clone());
    }

    /// Its end, and what is written of it until then; `None` if it is empty.
    pub(crate) fn watch_end(&mut self) -> Option<(Rc<End>, Progress)> {
        if self.bytes.is_empty() {
            return None;
        }
        let progress = self.progress.get_or_insert_default().clone();
        let end = self.end.get_or_insert_default().clone();
        Some((end, progress))
    }
}

/// When a chunk is written, or dropped.
#[derive(Debug, Default)]
pub(crate) struct End {
    is_over: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl End {
    /// Ready when the chunk is written; wakes the last task that has asked.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_over.get() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        match &mut *waiting {
            Some(waiting) => waiting.clone_from(cx.waker()),
            None => *waiting = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn reached(&self) {
        self.is_over.set(true);
        let waiting = self.waiting.borrow_mut().take();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(unwritten) = &self.unwritten {
            unwritten.set(unwritten.get().saturating_sub(1));
        }
        if let Some(end) = &self.end {
            end.reached();
        }
        if let Some(on_end) = &mut self.on_end {
            on_end.written(self.length - self.bytes.len());
        }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(progress) = &self.progress {
            progress.set(progress.get() + count as u64);
        }
        // The chunk itself may be kept for a while.
        if let Some(end) = self.end.as_ref().filter(|_| self.bytes.is_empty()) {
            end.reached();
        }
    }
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunk")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// A part of an answer of which not all is known yet, or the trailers that end it. It is boxed
/// because a channel has room for dozens, whatever its bound is.
pub type Part = Box<Result<Chunk, HeaderMap>>;

/// The body of an answer.
#[derive(Debug)]
pub struct Reply(Content);

#[derive(Debug)]
enum Content {
    Empty,
    /// Chunks one after the other, then the trailers.
    Whole(VecDeque<Chunk>, Option<Progress>, Option<HeaderMap>),
    /// One chunk, then the trailers.
    One(Option<Chunk>, Option<HeaderMap>),
    /// Chunks as they come, then the trailers.
    Stream(mpsc::Receiver<Part>, Option<HeaderMap>),
}

impl Reply {
    /// Nothing: all is in the headers.
    #[must_use]
    pub fn empty() -> Self {
        Self(Content::Empty)
    }

    /// One chunk.
    #[must_use]
    pub fn one(chunk: Chunk, trailers: Option<HeaderMap>) -> Self {
        Self(Content::One(Some(chunk), trailers))
    }

    /// Several chunks, in their order.
    #[must_use]
    pub fn chunks(mut parts: VecDeque<Chunk>, trailers: Option<HeaderMap>) -> Self {
        let progress = (parts.len() > 1).then(Progress::default);
        for part in &mut parts {
            part.progress.clone_from(&progress);
        }
        Self(Content::Whole(parts, progress, trailers))
    }

    /// All chunks that come, until their sender is dropped, or has sent other trailers, which end
    /// the answer.
    #[must_use]
    pub fn stream(chunks: mpsc::Receiver<Part>, trailers: Option<HeaderMap>) -> Self {
        Self(Content::Stream(chunks, trailers))
    }

    /// Charges what its stream costs until the last part is written; gives it back if the parts are
    /// not known yet.
    pub(crate) fn charge(&mut self, held: Held) -> Option<Held> {
        let last = match &mut self.0 {
            Content::One(chunk, _) => chunk.as_mut(),
            Content::Whole(parts, ..) => parts.back_mut(),
            Content::Empty | Content::Stream(..) => None,
        };
        match last {
            Some(last) => {
                last._stream = Some(held);
                None
            }
            None => Some(held),
        }
    }

    /// What was written so far, of an answer with several parts.
    pub(crate) fn progress(&self) -> Option<Progress> {
        match &self.0 {
            Content::Whole(_, progress, _) => progress.clone(),
            _ => None,
        }
    }
}

impl Body for Reply {
    type Data = Chunk;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Infallible>>> {
        let (chunk, trailers) = match &mut self.0 {
            Content::Empty => return Poll::Ready(None),
            Content::Whole(parts, _, trailers) => (parts.pop_front(), trailers),
            Content::One(chunk, trailers) => (chunk.take(), trailers),
            Content::Stream(chunks, trailers) => {
                let chunk = match ready!(chunks.poll_recv(cx)) {
                    None => None,
                    Some(part) => match *part {
                        Ok(chunk) => Some(chunk),
                        Err(failed) => {
                            if let Some(trailers) = trailers {
                                *trailers = failed;
                            }
                            chunks.close();
                            None
                        }
                    },
                };
                (chunk, trailers)
            }
        };
        let frame = match chunk {
            Some(chunk) => Some(Frame::data(chunk)),
            None => trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Empty | Content::One(None, None) => true,
            Content::Whole(parts, _, None) => parts.is_empty(),
            _ => false,
        }
    }

    /// Exact without trailers only: gRPC has no `content-length`.
    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Empty => SizeHint::with_exact(0),
            Content::One(chunk, None) => SizeHint::with_exact(length(chunk)),
            Content::Whole(parts, _, None) => SizeHint::with_exact(length(parts)),
            _ => SizeHint::default(),
        }
    }
}

fn length<'a>(chunks: impl IntoIterator<Item = &'a Chunk>) -> u64 {
    let lengths = chunks.into_iter().map(|chunk| chunk.remaining() as u64);
    lengths.sum()
}
