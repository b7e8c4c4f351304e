//! `POST /_synapse/admin/v1/register`
//!
//! Section: `docs/design/16-authentication.md`, Shared secret.

use ruma::api::{
    IncomingRequest,
    auth_scheme::NoAuthentication,
    error::{DeserializationError, Error},
};
use serde_json::json;
use wardstead_identity::SecretRequest;

use crate::{
    ApiError,
    endpoint::own_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

/// See [`SecretRequest`].
pub(super) struct Request(SecretRequest);

own_endpoint!(Request, POST "/_synapse/admin/v1/register", NoAuthentication);

impl IncomingRequest for Request {
    type EndpointError = Error;
    // The answer is written here: ruma does not know it.
    type OutgoingResponse = Error;

    fn try_from_http_request_inner(request: http::Request<&[u8]>, _: &[&str]) -> Result<Self, DeserializationError> {
        Ok(Self(serde_json::from_slice(request.body())?))
    }
}

pub(super) async fn register(Ruma { state, request, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let login = state.identity.register_with_secret(&request.0).await?;
    JsonBytes::of(&json!({
        "user_id": login.session.user_id,
        "home_server": login.session.user_id.server_name(),
        "device_id": login.session.device_id,
        "access_token": login.access_token,
    }))
}
