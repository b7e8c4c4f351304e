//! `GET /_matrix/client/v1/register/m.login.registration_token/validity`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1registermloginregistration_tokenvalidity>

use ruma::api::client::account::check_registration_token_validity::v1::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn register_token_validity(Ruma { state, request, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    Ok(Response::new(state.identity.registration_token_validity(&request.token).await?))
}
