//! `GET /_synapse/admin/v1/register`
//!
//! Section: `docs/design/16-authentication.md`, Shared secret.

use http::Method;
use ruma::api::{
    IncomingRequest, Metadata,
    auth_scheme::NoAuthentication,
    error::{DeserializationError, Error},
    path_builder::SinglePath,
};
use serde_json::json;

use crate::{
    ApiError,
    ruma_io::{JsonBytes, Ruma},
};

/// Nothing is asked but the path.
pub(super) struct Request;

impl Metadata for Request {
    const METHOD: Method = Method::GET;
    const RATE_LIMITED: bool = true;
    type Authentication = NoAuthentication;
    type PathBuilder = SinglePath;
    const PATH_BUILDER: SinglePath = SinglePath::new("/_synapse/admin/v1/register");
}

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
