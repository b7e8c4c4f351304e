//! `PUT /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device`
//!
//! Section: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814#dehydrating-a-device>, a proposal that no version of the specification has yet.

use std::collections::BTreeMap;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedDeviceId, api::auth_scheme::AccessToken};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use wardstead_e2ee::{KeyUpload, dehydrated::NewDehydrated};

use super::asked::Asked;
use crate::{
    ApiError,
    endpoint::own_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

/// What is signed stays what it is.
#[derive(Deserialize)]
pub(super) struct Body {
    device_id: OwnedDeviceId,
    device_data: Box<RawValue>,
    initial_device_display_name: Option<String>,
    device_keys: CanonicalJsonObject,
    /// Claimed in the order of their names, which is that in which clients make them.
    #[serde(default)]
    one_time_keys: BTreeMap<String, CanonicalJsonValue>,
    #[serde(default)]
    fallback_keys: BTreeMap<String, CanonicalJsonValue>,
}

/// Method and path.
pub(super) struct Endpoint;

own_endpoint!(Endpoint, PUT "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device", AccessToken);

pub(super) async fn device_put(
    Ruma { state, request, caller, .. }: Ruma<Asked<Endpoint, Body>>,
) -> Result<JsonBytes, ApiError> {
    let body = request.body;
    if !body.device_data.get().starts_with('{') {
        return Err(ApiError::bad_json("device_data is a JSON object."));
    }
    let keys = KeyUpload {
        device_keys: Some(body.device_keys),
        one_time_keys: body.one_time_keys.into_iter().collect(),
        fallback_keys: body.fallback_keys.into_iter().collect(),
    };
    let new = NewDehydrated {
        device_id: body.device_id,
        display_name: body.initial_device_display_name,
        device_data: body.device_data,
        keys,
    };
    state.dehydrated.put(&caller, &new).await?;
    JsonBytes::of(&json!({ "device_id": new.device_id }))
}
