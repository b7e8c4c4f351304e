//! `DELETE /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device`
//!
//! Section: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814#deleting-a-dehydrated-device>, a proposal that no version of the specification has yet.

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

own_endpoint!(Endpoint, DELETE "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device", AccessToken);

pub(super) async fn device_delete(Ruma { state, caller, .. }: Ruma<Asked<Endpoint>>) -> Result<JsonBytes, ApiError> {
    JsonBytes::of(&json!({ "device_id": state.dehydrated.remove(&caller).await? }))
}
