//! HTTP/1.1 and HTTP/1.0.
//!
//! Pipelined requests are served one after the other, and answered in their order. Where one
//! request ends and the next begins is decided by hyper alone, which refuses what may mean two
//! things (RFC 9112, 6.3): several lengths that differ or are no number, a transfer coding that is
//! not `chunked` in the end, folded lines, blanks before a colon. A request with a transfer coding
//! is answered, and nothing behind it is read any more: hyper takes trailers that a balancer may
//! end elsewhere. What else hyper takes and a balancer may take otherwise is refused here. Lines of
//! a head may end with a line feed alone, as RFC 9112 allows (2.2); those of chunks must not.
//!
//! A known gap: behind a request with `Upgrade`, or CONNECT, hyper ends a connection without
//! waiting for what is still to be written, so that the end of a long last answer may be missing.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::connection::Connection;
use crate::drive::drive;
use crate::reply::{Chunk, Reply};
use crate::traffic::Counted;
use crate::unread::Watched;

/// Most bytes of a request's line and headers; and of trailers. hyper takes 100 headers at most.
const HEAD_MAX: usize = 8 * 1024;

/// Most bytes that are read at once, and that wait to be written before more of an answer is asked
/// for.
const BUFFER_MAX: usize = 64 * 1024;

/// How long a client that was answered for the last time is read, and nothing is done with what it
/// sends. If bytes of it were left unread, its system would discard the answer that it has not read
/// yet.
const LINGER: Duration = Duration::from_secs(2);

/// That no further request is taken.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

pub(crate) async fn serve<S, F, A>(
    connection: &Rc<Connection>,
    stream: S,
    service: F,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Fn(Request<Incoming>) -> A + 'static,
    A: Future<Output = Response<Watched>> + 'static,
{
    let mut builder = http1::Builder::new();
    builder
        // Those who look after all clients notice a head that does not end; hyper would take an
        // idle connection for one.
        .header_read_timeout(None)
        .max_header_size(HEAD_MAX)
        .max_buf_size(BUFFER_MAX)
        // What is written is known chunk by chunk only if they are not copied together.
        .writev(true);
    let this = connection.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        this.count_call();
        this.begin_exchange(!request.body().is_end_stream());
        let is_last = request.headers().contains_key(TRANSFER_ENCODING);
        let served = Served(this.clone());
        let answer = match is_refused(&request) {
            true => None,
            // It is large, and hyper moves what it gets.
            false => Some(Box::pin(service(request))),
        };
        async move {
            let mut answer = match answer {
                Some(answer) => answer.await,
                None => bad_request(&served.0),
            };
            if is_last {
                answer.headers_mut().insert(CONNECTION, CLOSE);
            }
            Ok::<_, Infallible>(answer.map(|body| Answer {
                body,
                _served: served,
            }))
        }
    });
    let io = TokioIo::new(Guarded {
        stream: Counted::new(stream, connection.traffic.clone()),
        connection: connection.clone(),
        has_ended: false,
        hides_end: false,
        lingering: None,
    });
    let serving = builder.serve_connection(io, service);
    drive(connection, serving, |serving| serving.graceful_shutdown()).await
}

/// Whether a request says in two ways, or in none, which host it is for or where it ends.
fn is_refused(request: &Request<Incoming>) -> bool {
    let headers = request.headers();
    let is_old = request.version() < http::Version::HTTP_11;
    let has_host = match only(headers, HOST) {
        Only::One(_) => true,
        Only::None => is_old,
        Only::Several => false,
    };
    let has_coding = match only(headers, TRANSFER_ENCODING) {
        Only::One(coding) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        Only::None => true,
        Only::Several => false,
    };
    !has_host || !has_coding
}

enum Only<'a> {
    None,
    One(&'a HeaderValue),
    Several,
}

fn only(headers: &HeaderMap, name: HeaderName) -> Only<'_> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Only::None,
        (Some(one), None) => Only::One(one),
        _ => Only::Several,
    }
}

fn bad_request(connection: &Connection) -> Response<Watched> {
    let mut answer = Response::new(connection.body(Reply::empty()));
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(CONNECTION, CLOSE);
    answer
}

/// The call that is served, until it is dropped.
struct Served(Rc<Connection>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.end_exchange();
    }
}

/// The body of an answer, whose call ends with it.
struct Answer {
    body: Watched,
    _served: Served,
}

impl Body for Answer {
    type Data = Chunk;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A client's stream. That the client has closed its side does not end it before the answer to its
/// last request is written; and its end waits for the client to have read what was written.
struct Guarded<S> {
    stream: Counted<S>,
    connection: Rc<Connection>,
    /// Whether the client has closed its side.
    has_ended: bool,
    /// Whether hyper waits for more of the client, and does not know that there will be none.
    hides_end: bool,
    /// The end of the time that the client has for closing, once nothing more is written.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.has_ended {
            let before = buffer.remaining();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            if buffer.remaining() < before || before == 0 {
                return Poll::Ready(Ok(()));
            }
            self.has_ended = true;
            self.connection.note_left();
        }
        // hyper would drop the call. `poll_flush` wakes it when the answer is written.
        self.hides_end = self.connection.owes_answer();
        match self.hides_end {
            true => Poll::Pending,
            false => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if self.hides_end && !self.connection.owes_answer() {
            self.hides_end = false;
            cx.waker().wake_by_ref();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        if this.has_ended {
            return Poll::Ready(Ok(()));
        }
        let lingering = this
            .lingering
            .get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut room = [0; 1024];
        loop {
            if lingering.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut room);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // It has closed as well, or is gone.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }
}
