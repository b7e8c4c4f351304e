//! `POST /_matrix/client/v3/keys/signatures/upload`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload>

use std::collections::BTreeMap;

use ruma::{OwnedUserId, api::client::keys::upload_signatures::v3::Request as Typed};
use serde_json::{Value, json};
use wardstead_e2ee::{E2eeError, SignedKeys};

use super::body::Sent;
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn signatures_upload(
    Ruma { state, request, caller, .. }: Ruma<Sent<Typed, SignedKeys>>,
) -> Result<JsonBytes, ApiError> {
    let not_kept = state.keys.add_signatures(&caller, &request.body).await?;
    let failures: BTreeMap<OwnedUserId, BTreeMap<String, Value>> = not_kept
        .into_iter()
        .map(|(user_id, of_user)| (user_id, of_user.into_iter().map(|(name, error)| (name, told(&error))).collect()))
        .collect();
    JsonBytes::of(&json!({ "failures": failures }))
}

fn told(error: &E2eeError) -> Value {
    let errcode = match error {
        E2eeError::InvalidSignature(_) => "M_INVALID_SIGNATURE",
        E2eeError::NotFound(_) => "M_NOT_FOUND",
        E2eeError::TooLarge(_) => "M_TOO_LARGE",
        E2eeError::BadJson(_) => "M_BAD_JSON",
        _ => "M_INVALID_PARAM",
    };
    json!({ "errcode": errcode, "error": error.to_string() })
}
