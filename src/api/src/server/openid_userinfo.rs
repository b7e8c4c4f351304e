//! `GET /_matrix/federation/v1/openid/userinfo`
//!
//! Section: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1openiduserinfo>

use http::StatusCode;
use ruma::{
    OwnedUserId,
    api::{
        IncomingRequest,
        auth_scheme::NoAuthentication,
        error::{DeserializationError, Error, ErrorKind, UnknownTokenErrorData},
    },
    exports::serde_html_form,
};
use serde::{Deserialize, Serialize};

use crate::{
    ApiError,
    endpoint::own_endpoint,
    ruma_io::{JsonBytes, Ruma},
};

/// The token is all that is asked with: whoever got it from a user may know who that is.
#[derive(Deserialize)]
pub(super) struct Request {
    access_token: String,
}

own_endpoint!(Request, GET "/_matrix/federation/v1/openid/userinfo", NoAuthentication);

impl IncomingRequest for Request {
    type EndpointError = Error;
    // The answer is written here.
    type OutgoingResponse = Error;

    fn try_from_http_request_inner(request: http::Request<&[u8]>, _: &[&str]) -> Result<Self, DeserializationError> {
        Ok(serde_html_form::from_str(request.uri().query().unwrap_or_default())?)
    }
}

#[derive(Serialize)]
struct UserInfo {
    sub: OwnedUserId,
}

pub(super) async fn openid_userinfo(Ruma { state, request, .. }: Ruma<Request>) -> Result<JsonBytes, ApiError> {
    let Some(sub) = state.identity.openid_user(&request.access_token).await? else {
        let kind = ErrorKind::UnknownToken(UnknownTokenErrorData::new());
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, kind, "The token is unknown or has expired."));
    };
    JsonBytes::of(&UserInfo { sub })
}
