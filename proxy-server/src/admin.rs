//! The admin listener: HTTP for whoever runs the proxy, on a port of its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tracing::warn;

/// What the probes ask.
pub(crate) trait Health: Send + Sync {
    /// Why the process should be restarted, if it should.
    fn stuck(&self) -> Option<&'static str>;
    /// Why no client should be sent here, if none should.
    fn not_ready(&self) -> Option<&'static str>;
}

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, health: Arc<dyn Health>) {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(health);
    if let Err(error) = axum::serve(listener, router).await {
        warn!(%error, "the admin listener has ended");
    }
}

async fn livez(State(health): State<Arc<dyn Health>>) -> (StatusCode, &'static str) {
    answer(health.stuck())
}

async fn readyz(State(health): State<Arc<dyn Health>>) -> (StatusCode, &'static str) {
    answer(health.not_ready())
}

fn answer(trouble: Option<&'static str>) -> (StatusCode, &'static str) {
    match trouble {
        None => (StatusCode::OK, "ok\n"),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, trouble),
    }
}
