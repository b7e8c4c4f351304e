//! What surrounds every request: its id, its line in the log, and the headers that every answer has, errors included.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use tracing::Instrument as _;

use crate::{
    ApiError, ApiState,
    error::{Cause, Refused},
    leftover::lend,
};

/// What the log says in the place of the route where there is none.
const UNKNOWN: &str = "none";

/// Names the request, answers preflights, turns a panic into an error, adds the headers and writes the log.
///
/// The log holds method, route template, status and milliseconds; never a path, query, id, token or body: they are patient data or
/// lead to it.
pub(crate) async fn observe(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let started_ms = state.clock.monotonic_ms();
    let id = format!("{:016x}", state.rng.next_u64());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(UNKNOWN, MatchedPath::as_str);
    let span = tracing::info_span!("request", %id, %method, route);

    let under_way = state.figures.begin();

    let closes = request.version() <= Version::HTTP_11;
    let (head, body) = request.into_parts();
    let (body, leftover) = lend(body);
    let request = Request::from_parts(head, body);
    let mut response = if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let served = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone());
        tokio::select! {
            // In this order: what needs no data is answered all the same. To leave a handler is what also happens when its
            // client hangs up: what it handed to the committer is committed or not, and the same transaction id tells.
            biased;
            served = served => {
                served.unwrap_or_else(|_| ApiError::internal("a handler panicked").into_response())
            }
            () = state.availability.lost() => ApiError::lost().into_response(),
        }
    };
    drop(under_way);
    if let Some(leftover) = leftover
        && !leftover.discard().await
        && closes
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    add_headers(response.headers_mut(), &id);

    let status = response.status().as_u16();
    let ms = state.clock.monotonic_ms().saturating_sub(started_ms);
    state.figures.answered(&method, route, response.status(), ms);
    if let Some(Refused(what)) = response.extensions().get() {
        state.figures.refused(what);
    }
    span.in_scope(|| {
        if let Some(Cause(cause)) = response.extensions().get() {
            tracing::error!(status, ms, cause, "failed");
        } else if response.status().is_client_error() && route != UNKNOWN {
            tracing::info!(status, ms, "refused");
        } else {
            // A line for every message of a hospital would cost more than it tells, and so would one for everything that
            // clients ask of other servers.
            tracing::debug!(status, ms, "answered");
        }
    });
    response
}

/// The headers that [the specification recommends](https://spec.matrix.org/v1.16/client-server-api/#web-browser-clients) so that web
/// clients may read answers, and those that keep a browser from doing anything else with them.
fn add_headers(headers: &mut HeaderMap, request_id: &str) {
    const ALWAYS: [(HeaderName, &str); 4] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "X-Requested-With, Content-Type, Authorization"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A page for people says itself what may run in it.
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
    // What is not said to be cacheable concerns one person only.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", request_id);
    }
}
