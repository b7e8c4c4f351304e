//! `POST /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events`
//!
//! Section: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814#rehydrating-a-device>, a proposal that no version of the specification has yet.
//!
//! The form of earlier versions of the proposal, which clients ask in: `next_batch` is always told, and an answer without events is the end.

use ruma::api::auth_scheme::AccessToken;
use serde::Deserialize;
use serde_json::json;

use super::asked::Asked;
use crate::{
    ApiError,
    endpoint::own_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

#[derive(Deserialize)]
pub(super) struct Body {
    next_batch: Option<String>,
}

/// Method and path.
pub(super) struct Endpoint;

own_endpoint!(Endpoint, POST "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events", AccessToken);

pub(super) async fn events_post(
    Ruma { state, request, caller, .. }: Ruma<Asked<Endpoint, Body>>,
) -> Result<JsonBytes, ApiError> {
    let from = request.body.next_batch.as_deref();
    let found = state.dehydrated.events(&caller, &request.device_id, from).await?;
    JsonBytes::of(&json!({ "events": found.events, "next_batch": found.next_batch }))
}
