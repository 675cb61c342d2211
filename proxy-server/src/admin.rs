//! The admin listener: HTTP for whoever runs the proxy, on a port of its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tracing::warn;

use crate::reload::LogFilter;

/// Longest filter that is taken.
const FILTER_MAX: usize = 4096;

/// What the probes and scrapes ask.
pub(crate) trait Overview: Send + Sync {
    /// Why the process should be restarted, if it should.
    fn stuck(&self) -> Option<&'static str>;
    /// Why no client should be sent here, if none should.
    fn not_ready(&self) -> Option<&'static str>;
    /// The configuration that is in effect, without secrets.
    fn config(&self) -> String;
    /// All figures as text.
    fn metrics(&self, open_metrics: bool) -> impl Future<Output = Option<String>> + Send;
}

/// What handlers have.
struct Admin<O> {
    overview: Arc<O>,
    filter: LogFilter,
}

impl<O> Clone for Admin<O> {
    fn clone(&self) -> Self {
        Self {
            overview: self.overview.clone(),
            filter: self.filter.clone(),
        }
    }
}

/// Serves for ever.
pub(crate) async fn serve<O: Overview + 'static>(
    listener: TcpListener,
    overview: Arc<O>,
    filter: LogFilter,
) {
    let router = Router::new()
        .route("/livez", get(livez::<O>))
        .route("/readyz", get(readyz::<O>))
        .route("/metrics", get(metrics::<O>))
        .route("/config", get(config::<O>))
        .route("/log", get(log::<O>).put(set_log::<O>))
        .with_state(Admin { overview, filter });
    if let Err(error) = axum::serve(listener, router).await {
        warn!(%error, "the admin listener has ended");
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
    if filter.len() > FILTER_MAX {
        return (StatusCode::BAD_REQUEST, "too long\n".to_owned());
    }
    match admin.filter.set(filter) {
        Ok(()) => (StatusCode::OK, format!("{filter}\n")),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

fn answer(trouble: Option<&'static str>) -> (StatusCode, &'static str) {
    match trouble {
        None => (StatusCode::OK, "ok\n"),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, trouble),
    }
}
