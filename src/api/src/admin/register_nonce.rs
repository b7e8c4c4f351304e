//! `GET /_synapse/admin/v1/register`
//!
//! Section: `docs/design/16-authentication.md`, Shared secret.

use ruma::api::{
    IncomingRequest,
    auth_scheme::NoAuthentication,
    error::{DeserializationError, Error},
};
use serde_json::json;

use crate::{
    ApiError,
    endpoint::own_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

/// Nothing is asked but the path.
pub(super) struct Request;

own_endpoint!(Request, GET "/_synapse/admin/v1/register", NoAuthentication);

impl IncomingRequest for Request {
    type EndpointError = Error;
    // The answer is written here: ruma does not know it.
    type OutgoingResponse = Error;

    fn try_from_http_request_inner(_: http::Request<&[u8]>, _: &[&str]) -> Result<Self, DeserializationError> {
        Ok(Self)
    }
}

pub(super) async fn register_nonce(Ruma { state, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    JsonBytes::of(&json!({ "nonce": state.identity.secret_nonce().await? }))
}
