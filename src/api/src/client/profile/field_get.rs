//! `GET /_matrix/client/v3/profile/{userId}/{keyName}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuseridkeyname>

use std::collections::BTreeMap;

use ruma::api::client::profile::get_profile_field::v3::Request;

use super::unknown;
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn field_get(Ruma { state, request, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let key = request.field.as_str();
    let value = state.accounts.profile_field(&request.user_id, key).await?.ok_or_else(unknown)?;
    JsonBytes::of(&BTreeMap::from([(key, value)]))
}
