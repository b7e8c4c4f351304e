//! `POST /_matrix/client/v1/login/get_token`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv1loginget_token>

use std::time::Duration;

use http::StatusCode;
use ruma::api::{
    client::session::get_login_token::v1::{Request, Response},
    error::ErrorKind,
};
use wardstead_engine::Losing;
use wardstead_identity::{Act, IdentityError};
use wardstead_limits::store::REBUILDS;
use wardstead_store::StoreError;

use crate::{ApiError, interactive::Interactive, ruma_io::Ruma};

/// Where login tokens are off, this server does not have the endpoint.
pub(super) async fn login_token(
    Ruma { state, request, caller, .. }: Ruma<Interactive<Request>>,
) -> Result<Response, ApiError> {
    if !state.identity.gives_login_tokens() {
        let sentence = "This server gives out no login tokens.";
        return Err(ApiError::new(StatusCode::NOT_FOUND, ErrorKind::Unrecognized, sentence));
    }
    for _ in 0..REBUILDS {
        let confirmed = state.identity.confirm(&caller, &Act::MakeLoginToken, request.auth.as_ref()).await?;
        match state.identity.make_login_token(&caller, &confirmed).await {
            // The session of the confirmation served another request meanwhile: it is looked at again.
            Err(IdentityError::Store(StoreError::Lost(Losing::Fail(_)))) => {}
            made => {
                let made = made?;
                return Ok(Response::new(Duration::from_millis(made.expires_in_ms), made.login_token));
            }
        }
    }
    Err(IdentityError::Contended.into())
}
