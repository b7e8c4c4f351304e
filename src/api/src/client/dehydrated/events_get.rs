//! `GET /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events`
//!
//! Section: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814#rehydrating-a-device>, a proposal that no version of the specification has yet.

use ruma::api::auth_scheme::AccessToken;
use serde_json::json;

use super::asked::Asked;
use crate::{
    ApiError,
    endpoint::own_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

/// Method and path.
pub(super) struct Endpoint;

own_endpoint!(Endpoint, GET "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events", AccessToken);

/// In the proposal's newest form: `next_batch` is told where more follow.
pub(super) async fn events_get(
    Ruma { state, request, caller, .. }: Ruma<Asked<Endpoint>>,
) -> Result<JsonBytes, ApiError> {
    let found = state.dehydrated.events(&caller, &request.device_id, request.from.as_deref()).await?;
    let mut answer = json!({ "events": found.events });
    if found.more {
        answer["next_batch"] = found.next_batch.into();
    }
    JsonBytes::of(&answer)
}
