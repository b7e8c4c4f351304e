//! `GET /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device`
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

own_endpoint!(Endpoint, GET "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device", AccessToken);

pub(super) async fn device_get(Ruma { state, caller, .. }: Ruma<Asked<Endpoint>>) -> Result<JsonBytes, ApiError> {
    let device = state.dehydrated.get(&caller).await?;
    JsonBytes::of(&json!({ "device_id": device.device_id, "device_data": device.device_data }))
}
