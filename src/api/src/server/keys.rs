//! `GET /_matrix/key/v2/server`
//!
//! Section: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server>

use bytes::Bytes;
use ruma::api::{
    IncomingRequest,
    auth_scheme::NoAuthentication,
    error::{DeserializationError, Error},
};

use crate::{
    ApiError,
    endpoint::own_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

/// Nothing is asked but the path.
pub(super) struct Request;

own_endpoint!(Request, GET "/_matrix/key/v2/server", NoAuthentication);

impl IncomingRequest for Request {
    type EndpointError = Error;
    // The answer is written here: it is signed as it is.
    type OutgoingResponse = Error;

    fn try_from_http_request_inner(_: http::Request<&[u8]>, _: &[&str]) -> Result<Self, DeserializationError> {
        Ok(Self)
    }
}

pub(super) async fn keys(Ruma { state, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let keys = state.rooms.published_keys().await?;
    let bytes = serde_json::to_vec(&keys).map_err(ApiError::internal)?;
    Ok(JsonBytes(Bytes::from(bytes)))
}
