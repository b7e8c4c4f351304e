//! `GET /_matrix/client/v3/auth/{authType}/fallback/web`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#fallback>

use axum::{
    extract::{Path, Query, State, rejection::PathRejection, rejection::QueryRejection},
    response::Response,
};
use serde::Deserialize;

use super::{Asker, answered, stage_in};
use crate::{ApiError, ApiState};

#[derive(Default, Deserialize)]
pub(super) struct Asking {
    #[serde(default)]
    session: String,
}

pub(super) async fn fallback_page(
    State(state): State<ApiState>,
    Asker(from): Asker,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Asking>, QueryRejection>,
) -> Result<Response, ApiError> {
    // What cannot be read names no session.
    let session = query.map_or_else(|_| String::new(), |Query(Asking { session })| session);
    answered(state.identity.page(&stage_in(path), &session, &from).await, &session)
}
