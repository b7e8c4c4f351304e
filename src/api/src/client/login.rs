//! `POST /_matrix/client/v3/login`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3login>

use std::time::Duration;

use ruma::api::{
    IncomingRequest,
    client::session::login::v3::{DiscoveryInfo, HomeserverInfo, Request, Response},
    error::DeserializationError,
};
use serde::Deserialize;

use crate::{ApiError, endpoint::same_endpoint, ruma_io::Ruma};

pub(super) async fn login(Ruma { state, request, client, .. }: Ruma<TypedLogin>) -> Result<Response, ApiError> {
    let login = state.identity.login(request.0, &client).await?;
    let mut response = Response::new(login.session.user_id, login.access_token, login.session.device_id);
    response.refresh_token = login.refresh_token;
    response.expires_in = login.expires_in_ms.map(Duration::from_millis);
    response.well_known =
        state.config.base_url.clone().map(|base_url| DiscoveryInfo::new(HomeserverInfo::new(base_url)));
    Ok(response)
}

/// ruma's request, which panics on a body without a `type`: this looks first.
pub(crate) struct TypedLogin(Request);

#[derive(Deserialize)]
struct HasType {
    #[serde(rename = "type")]
    _login_type: String,
}

same_endpoint!(TypedLogin, Request);

impl IncomingRequest for TypedLogin {
    type EndpointError = <Request as IncomingRequest>::EndpointError;
    type OutgoingResponse = Response;

    fn try_from_http_request_inner(
        request: http::Request<&[u8]>,
        path_args: &[&str],
    ) -> Result<Self, DeserializationError> {
        serde_json::from_slice::<HasType>(request.body())?;
        Request::try_from_http_request_inner(request, path_args).map(Self)
    }
}
