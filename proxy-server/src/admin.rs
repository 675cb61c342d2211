//! The admin listener: HTTP for operators, on a port of its own.

mod connection;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use route_cache::rate::LogThrottle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tracing::warn;

use crate::descriptors::{Spare, have_run_out};
use crate::reload::LogFilter;
use connection::Progress;

/// Longest body of a request: a filter of the log.
const BODY_MAX: usize = 4096;

/// Scrapes that are answered at a time. Each asks all workers for their clients.
const SCRAPES: usize = 2;

/// How long to wait when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that are not served, or no longer.
static REFUSED: LogThrottle = LogThrottle::per_second(1);

/// What the probes and scrapes ask.
pub(crate) trait Overview: Send + Sync {
    /// Why the process should be restarted, if it should.
    fn stuck(&self) -> Option<&'static str>;
    /// Why no client should be sent here, if none should.
    fn not_ready(&self) -> Option<&'static str>;
    /// The configuration that is in effect, without secrets.
    fn config(&self) -> String;
    /// All metrics in text: in OpenMetrics, or in the older format of Prometheus.
    fn metrics(&self, open_metrics: bool) -> impl Future<Output = Option<String>> + Send;
}

/// The state that all handlers share.
struct Admin<O> {
    overview: Arc<O>,
    filter: LogFilter,
    scrapes: Arc<Semaphore>,
}

impl<O> Clone for Admin<O> {
    fn clone(&self) -> Self {
        Self {
            overview: self.overview.clone(),
            filter: self.filter.clone(),
            scrapes: self.scrapes.clone(),
        }
    }
}

/// Serves for ever, at most `limit` connections at a time.
pub(crate) async fn serve<O: Overview + 'static>(
    listener: TcpListener,
    limit: usize,
    spare: Arc<Spare>,
    overview: Arc<O>,
    filter: LogFilter,
) {
    let router = Router::new()
        .route("/livez", get(livez::<O>))
        .route("/readyz", get(readyz::<O>))
        .route("/metrics", get(metrics::<O>))
        .route("/config", get(config::<O>))
        .route("/log", get(log::<O>).put(set_log::<O>))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Admin {
            overview,
            filter,
            scrapes: Arc::new(Semaphore::new(SCRAPES)),
        });
    let mut connections = Connections::default();
    loop {
        let error = match listener.accept().await {
            Ok((stream, _)) => {
                connections.serve(stream, &router, limit);
                continue;
            }
            Err(error) => error,
        };
        if have_run_out(&error) && spare.refuse(&listener).await.is_some() {
            continue;
        }
        if let Some(not_logged) = REFUSED.pass() {
            warn!(%error, not_logged, "the admin listener cannot accept a connection");
        }
        tokio::time::sleep(PAUSE).await;
        spare.restore();
    }
}

/// The connections that are there, the oldest first.
#[derive(Default)]
struct Connections(VecDeque<(Rc<Progress>, AbortHandle)>);

impl Connections {
    /// Serves one more. If there are too many, the oldest one without a request is closed, so that
    /// silent connections cannot keep others out.
    fn serve(&mut self, stream: TcpStream, router: &Router, limit: usize) {
        self.0.retain(|(_, task)| !task.is_finished());
        if self.0.len() >= limit {
            if let Some(not_logged) = REFUSED.pass() {
                warn!(
                    limit,
                    not_logged, "the admin listener has too many connections"
                );
            }
            let idle = self
                .0
                .iter()
                .position(|(progress, _)| progress.is_waiting());
            let Some((_, task)) = idle.and_then(|at| self.0.remove(at)) else {
                return;
            };
            task.abort();
        }
        let progress = Progress::new();
        let serving = connection::serve(stream, router.clone(), progress.clone());
        let task = tokio::task::spawn_local(serving);
        self.0.push_back((progress, task.abort_handle()));
    }
}

async fn livez<O: Overview>(State(admin): State<Admin<O>>) -> (StatusCode, &'static str) {
    answer(admin.overview.stuck())
}

async fn readyz<O: Overview>(State(admin): State<Admin<O>>) -> (StatusCode, &'static str) {
    answer(admin.overview.not_ready())
}

async fn metrics<O: Overview>(State(admin): State<Admin<O>>, headers: HeaderMap) -> Response {
    let accepted = headers
        .get(ACCEPT)
        .and_then(|accepted| accepted.to_str().ok());
    let open_metrics = accepted.is_some_and(|it| it.contains("application/openmetrics-text"));
    let kind = match open_metrics {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    };
    // It is never closed.
    let _turn = admin.scrapes.acquire().await;
    match admin.overview.metrics(open_metrics).await {
        Some(text) => ([(CONTENT_TYPE, kind)], text).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn config<O: Overview>(State(admin): State<Admin<O>>) -> Response {
    let kind = "application/toml; charset=utf-8";
    ([(CONTENT_TYPE, kind)], admin.overview.config()).into_response()
}

async fn log<O: Overview>(State(admin): State<Admin<O>>) -> String {
    format!("{}\n", admin.filter.now())
}

/// `curl -X PUT -d debug …/log`.
async fn set_log<O: Overview>(
    State(admin): State<Admin<O>>,
    filter: String,
) -> (StatusCode, String) {
    let filter = filter.trim();
    match admin.filter.set(filter) {
        Ok(()) => (StatusCode::OK, format!("{filter}\n")),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

fn answer(error: Option<&'static str>) -> (StatusCode, &'static str) {
    match error {
        None => (StatusCode::OK, "ok\n"),
        Some(error) => (StatusCode::SERVICE_UNAVAILABLE, error),
    }
}
