//! The HTTP interfaces: axum, one endpoint a file.
//!
//! The way of a request: [`router`] finds the handler by path and method; `observe` names, counts and logs it; `Ruma` asks who sends it
//! (`access`), reads its body within bounds (`body`) and makes ruma's request type of it; the handler calls the parts; the answer is ruma's
//! response type, or an [`ApiError`], which is a response too.

mod access;
mod admin;
mod availability;
mod body;
mod client;
mod endpoint;
mod error;
mod figures;
mod interactive;
mod leftover;
mod limiter;
mod observe;
mod proxies;
mod routes;
mod ruma_io;
mod server;
mod state;
mod support;

use axum::{Router, middleware};
use http::StatusCode;
use ruma::api::error::ErrorKind;

pub use self::{
    availability::Availability,
    error::ApiError,
    figures::Figures,
    limiter::{Group, GroupRates, Limiter, RateLimits},
    proxies::{AddressBlock, TrustedProxies},
    routes::Endpoint,
    state::{ApiConfig, ApiParts, ApiState},
    support::{Contact, Support},
};

/// All endpoints, ready to be served. Whatever is asked, the answer is Matrix JSON with CORS headers.
pub fn router(state: ApiState) -> Router {
    all()
        .router
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
}

/// What [`router`] serves.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    all().endpoints
}

fn all() -> routes::Routes {
    admin::routes(server::routes(client::routes()))
}

/// 404 `M_UNRECOGNIZED`, which tells clients that this server lacks the endpoint
/// ([section](https://spec.matrix.org/v1.16/client-server-api/#api-standards)).
async fn unknown_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, ErrorKind::Unrecognized, "There is no such endpoint.")
}

/// 405 `M_UNRECOGNIZED`.
async fn unknown_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::Unrecognized, "The endpoint does not have this method.")
}
