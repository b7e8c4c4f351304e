//! `GET /_matrix/client/v3/profile/{userId}`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuserid>

use ruma::api::client::profile::get_profile::v3::Request;

use super::unknown;
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

pub(super) async fn get(Ruma { state, request, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let profile = state.accounts.profile(&request.user_id).await?;
    JsonBytes::of(&profile.ok_or_else(unknown)?)
}
