//! `POST /_matrix/client/v3/keys/upload`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>

use ruma::{CanonicalJsonObject, api::client::keys::upload_keys::v3::Request as Typed};
use serde::Deserialize;
use serde_json::json;
use wardstead_e2ee::KeyUpload;

use super::body::{InOrder, Sent};
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "as the specification calls them")]
pub(super) struct Uploaded {
    device_keys: Option<CanonicalJsonObject>,
    one_time_keys: Option<InOrder>,
    fallback_keys: Option<InOrder>,
}

pub(super) async fn upload(
    Ruma { state, request, caller, .. }: Ruma<Sent<Typed, Uploaded>>,
) -> Result<JsonBytes, ApiError> {
    let Uploaded { device_keys, one_time_keys, fallback_keys } = request.body;
    let upload = KeyUpload {
        device_keys,
        one_time_keys: one_time_keys.unwrap_or_default().0,
        fallback_keys: fallback_keys.unwrap_or_default().0,
    };
    let counts = state.keys.upload(&caller, &upload).await?;
    JsonBytes::of(&json!({ "one_time_key_counts": counts.one_time }))
}
