//! `POST /_matrix/client/v3/keys/claim`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim>

use ruma::api::client::keys::claim_keys::v3::Request as Typed;
use serde::Deserialize;
use serde_json::json;
use wardstead_e2ee::{ClaimWanted, Claimed};

use super::{body::Sent, failures};
use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

#[derive(Deserialize)]
pub(super) struct Asked {
    one_time_keys: ClaimWanted,
    /// Milliseconds for other servers, of which none is asked.
    #[serde(rename = "timeout")]
    _timeout: Option<u64>,
}

/// Answers once it is durable that nobody else is given the same keys.
pub(super) async fn claim(Ruma { state, request, .. }: Ruma<Sent<Typed, Asked>>) -> Result<JsonBytes, ApiError> {
    let Claimed { keys, unreachable } = state.keys.claim(&request.body.one_time_keys).await?;
    JsonBytes::of(&json!({ "failures": failures(unreachable), "one_time_keys": keys }))
}
