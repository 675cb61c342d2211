//! One connection to the admin listener, which is ended when it takes too long.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tracing::debug;

/// Time limit from the start of a connection, or a further request's first byte, to the end of that
/// request's head.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// From there to the last byte of the answer.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Between an answer and the next request.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// How often it is looked whether a time is over.
const LOOK: Duration = Duration::from_millis(500);

/// Most bytes of a request's head.
const HEAD_MAX: usize = 16 * 1024;

/// What a connection is at, and since when.
#[derive(Debug)]
pub(super) struct Progress(Cell<(Stage, Instant)>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// A request's head arrives.
    Head,
    /// Its body arrives, and its answer is made.
    Served,
    /// The answer is made, and is being written.
    Answered,
    /// No request is there.
    Idle,
}

impl Progress {
    /// Of a connection that begins now.
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self(Cell::new((Stage::Head, Instant::now()))))
    }

    /// Whether no request is there as a whole, so that nothing is lost if the connection ends.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.0.get().0, Stage::Head | Stage::Idle)
    }

    fn enter(&self, stage: Stage) {
        let (last, since) = self.0.get();
        // The time of an answer is that of its request.
        let since = match (last, stage) {
            (Stage::Served, Stage::Answered) => since,
            _ => Instant::now(),
        };
        self.0.set((stage, since));
    }

    fn is_at(&self, stage: Stage) -> bool {
        self.0.get().0 == stage
    }

    /// Waits until it has taken too long.
    async fn overdue(&self) {
        loop {
            let (stage, since) = self.0.get();
            let time = match stage {
                Stage::Head => HEAD_TIME,
                Stage::Served | Stage::Answered => REQUEST_TIME,
                Stage::Idle => IDLE_TIME,
            };
            if since.elapsed() >= time {
                return;
            }
            sleep(LOOK).await;
        }
    }
}

/// Serves requests until the peer closes, or takes too long.
pub(super) async fn serve(stream: TcpStream, router: Router, progress: Rc<Progress>) {
    let io = TokioIo::new(Watched {
        stream,
        progress: progress.clone(),
    });
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        progress.enter(Stage::Served);
        let (answering, progress) = (router.call(request), progress.clone());
        async move {
            let answer = answering.await;
            progress.enter(Stage::Answered);
            answer
        }
    });
    let mut builder = http1::Builder::new();
    let connection = builder.max_buf_size(HEAD_MAX).serve_connection(io, service);
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            debug!(%error, "admin connection ended");
        },
        () = progress.overdue() => debug!("admin connection ended: it takes too long"),
    }
}

/// A stream that notes when a request begins and when an answer is written.
struct Watched {
    stream: TcpStream,
    progress: Rc<Progress>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before && self.progress.is_at(Stage::Idle) {
            self.progress.enter(Stage::Head);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has written all that it holds, and an answer's head and body are there
    /// at once.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.progress.is_at(Stage::Answered) {
            self.progress.enter(Stage::Idle);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;

    /// Far more than the kernel takes of an answer that nobody reads.
    const LARGE: usize = 64 * 1024 * 1024;

    /// Has a peer do something; answers how long the connection stayed.
    async fn lifetime(peer: impl AsyncFnOnce(&mut TcpStream)) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(async || "ok"))
            .route("/large", get(async || "x".repeat(LARGE)));
        let peer = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            peer(&mut stream).await;
            // Kept open.
            std::future::pending::<()>().await;
        };
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            let begun = Instant::now();
            serve(stream, router, Progress::new()).await;
            begun.elapsed()
        };
        let local = LocalSet::new();
        tokio::select! {
            () = peer => unreachable!(),
            time = local.run_until(serve) => time,
        }
    }

    fn assert_about(time: Duration, seconds: u64) {
        let expected = Duration::from_secs(seconds);
        assert!(time >= expected && time < expected + LOOK * 3, "{time:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_may_not_take_for_ever() {
        assert_about(lifetime(async |_| {}).await, 5);
        let begun = async |stream: &mut TcpStream| stream.write_all(b"GET / HT").await.unwrap();
        assert_about(lifetime(begun).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_used_may_be_idle_for_longer() {
        let ask = async |stream: &mut TcpStream| {
            let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = [0; 512];
            let read = stream.read(&mut answer).await.unwrap();
            assert!(answer[..read].ends_with(b"ok"));
        };
        assert_about(lifetime(ask).await, 30);
        // But not within a further request.
        let twice = async |stream: &mut TcpStream| {
            ask(stream).await;
            stream.write_all(b"G").await.unwrap();
        };
        assert_about(lifetime(twice).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_an_answer_is_ended() {
        let ask = async |stream: &mut TcpStream| {
            let request = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.write_all(request).await.unwrap();
        };
        assert_about(lifetime(ask).await, 10);
    }
}
