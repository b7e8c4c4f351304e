//! `GET /.well-known/matrix/support`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport>

use std::future::{Ready, ready};

use ruma::api::client::discovery::discover_support::Request;

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

/// Whom to ask for help, as far as the operator says.
pub(super) fn well_known_support(Ruma { state, .. }: Ruma<Request>) -> Ready<Result<JsonBytes, ApiError>> {
    let support = &state.config.support;
    ready(if support.is_empty() {
        Err(ApiError::not_found("This server does not say whom to ask for help."))
    } else {
        JsonBytes::of(support)
    })
}
