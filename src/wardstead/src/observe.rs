//! The listener for those who run the server: `/health/live`, `/health/ready`, `/metrics`. It shows figures and sentences about
//! the node, nothing about people or rooms, and changes nothing.
//!
//! See `docs/design/10-operations.md`.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::{StatusCode, header};
use prometheus_client::{encoding::text, registry::Registry};
use wardstead_limits::wardstead as limits;
use wardstead_push::Pushers;

use crate::{health::Health, metrics::Nodes};

/// What the handlers read. One for each server: nothing is global.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) health: Arc<Health>,
    pub(crate) registry: Registry,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) pushers: Pushers,
}

impl Observed {
    /// Without an answer in time the figure stays as it was.
    async fn look_at_pushers(&self) {
        let looked = tokio::time::timeout(Duration::from_millis(limits::NODES_READ_MS), self.pushers.look()).await;
        if !matches!(looked, Ok(Ok(()))) {
            tracing::debug!("pushers could not be counted");
        }
    }
}

/// The three endpoints.
pub(crate) fn router(observed: Observed) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(observed))
}

/// 200 as long as the process runs its event loop, whatever the database does: restarting helps against nothing else.
async fn live() -> Response {
    json(StatusCode::OK, "{\"live\":true}".to_owned())
}

/// 200 when this node should be given requests, else 503; the body names each check.
async fn ready(State(observed): State<Arc<Observed>>) -> Response {
    let readiness = observed.health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&readiness) {
        Ok(body) => json(status, body),
        Err(error) => failed(&error),
    }
}

/// [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/) text, which Prometheus reads.
async fn metrics(State(observed): State<Arc<Observed>>) -> Response {
    observed.nodes.look().await;
    observed.look_at_pushers().await;
    // Files are looked at.
    let written = tokio::task::spawn_blocking(move || {
        let mut body = String::with_capacity(wardstead_limits::wardstead::METRICS_BYTES);
        text::encode(&mut body, &observed.registry).map(|()| body)
    });
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match written.await {
        Ok(Ok(body)) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn failed(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "health or metrics could not be written");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
