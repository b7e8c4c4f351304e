//! `POST /_matrix/client/v3/user/{userId}/openid/request_token`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3useruseridopenidrequest_token>

use std::time::Duration;

use ruma::{
    api::client::account::request_openid_token::v3::{Request, Response},
    authentication::TokenType,
};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn openid_token(Ruma { state, request, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    if request.user_id != caller.user_id {
        return Err(ApiError::forbidden("A token is for yourself alone."));
    }
    let token = state.identity.make_openid_token(&caller).await?;
    let server_name = state.accounts.server_name().to_owned();
    Ok(Response::new(token.access_token, TokenType::Bearer, server_name, Duration::from_secs(token.expires_in_s)))
}
