//! `GET /.well-known/matrix/server`
//!
//! Section: <https://spec.matrix.org/v1.19/server-server-api/#getwell-knownmatrixserver>

use std::future::{Ready, ready};

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

/// Nothing is asked but the path. ruma has it among what servers ask each other, which is not built yet.
pub(super) struct Request;

own_endpoint!(Request, GET "/.well-known/matrix/server", NoAuthentication);

impl IncomingRequest for Request {
    type EndpointError = Error;
    // The answer is written here.
    type OutgoingResponse = Error;

    fn try_from_http_request_inner(_: http::Request<&[u8]>, _: &[&str]) -> Result<Self, DeserializationError> {
        Ok(Self)
    }
}

/// Where other servers reach this one, if that is not where its name leads.
pub(super) fn well_known_server(Ruma { state, .. }: Ruma<Request>) -> Ready<Result<JsonBytes, ApiError>> {
    ready(match &state.config.delegated_to {
        Some(server) => JsonBytes::of(&json!({ "m.server": server })),
        None => Err(ApiError::not_found("This server is reached by its name.")),
    })
}
