//! HTTP/2.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::{Connection, Metrics};
use crate::drive::drive;
use crate::traffic::Counted;
use crate::unread::{Watch, Watched, run};

/// Streams that a client may have open. Long polls occupy one each, on a client's only connection.
const STREAMS_MAX: u32 = 4096;

/// Bytes that a client may send before they are taken, on a stream and on the connection. At a
/// distance of 10 ms, 100 MB/s get through.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Most bytes of a call's headers.
const HEADERS_MAX: u32 = 8 * 1024;

/// Bytes of a stream that wait in HTTP/2 beside those that the client's window allows.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that a client has reset and that no call was made of yet; more end the connection.
const PENDING_RESETS_MAX: usize = 128;

/// When a client that sends nothing is pinged, and for how long its answer is awaited.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIME: Duration = Duration::from_secs(10);

/// Runs the streams of a connection on the worker's own thread.
#[derive(Clone, Debug)]
struct OnWorker {
    watch: Rc<Watch>,
    /// How long a part of an answer may wait for the client to read.
    time: Duration,
    metrics: Arc<Metrics>,
}

impl<F: Future<Output = ()> + 'static> Executor<F> for OnWorker {
    fn execute(&self, stream: F) {
        let Self {
            watch,
            time,
            metrics,
        } = self.clone();
        tokio::task::spawn_local(async move {
            if !run(stream, &watch, time).await {
                metrics.unread.add(1);
            }
        });
    }
}

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
    let mut builder = http2::Builder::new(OnWorker {
        watch: connection.watch.clone(),
        time: connection.frame_time,
        metrics: connection.metrics.clone(),
    });
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIME)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_send_buf_size(SEND_BUFFER);
    let this = connection.clone();
    let service = service_fn(move |request| {
        this.count_call();
        // It is large, and hyper and the stream's task move what they get several times.
        let answer = Box::pin(service(request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = TokioIo::new(Counted::new(stream, connection.traffic.clone()));
    let serving = builder.serve_connection(io, service);
    drive(connection, serving, |serving| serving.graceful_shutdown()).await
}
