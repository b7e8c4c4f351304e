//! `POST /_matrix/client/v3/auth/{authType}/fallback/web`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#fallback>

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use ruma::exports::serde_html_form;
use serde::Deserialize;

use super::{Asker, answered, stage_in};
use crate::{ApiError, ApiState, body::read_whole};

/// What the form of the page sends.
#[derive(Default, Deserialize)]
struct Entered {
    #[serde(default)]
    session: String,
    #[serde(default)]
    entered: String,
}

pub(super) async fn fallback_answer(
    State(state): State<ApiState>,
    Asker(from): Asker,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, ApiError> {
    // What cannot be read names no session.
    let Entered { session, entered } = serde_html_form::from_bytes(&read_whole(body).await?).unwrap_or_default();
    answered(state.identity.answer_page(&stage_in(path), &session, &entered, &from).await, &session)
}
