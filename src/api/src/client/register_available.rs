//! `GET /_matrix/client/v3/register/available`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv3registeravailable>

use ruma::api::client::account::get_username_availability::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

/// A name that is taken or not allowed, and any where nobody can register, is answered with the error that registration would give.
pub(super) async fn register_available(Ruma { state, request, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.identity.may_register(&request.username).await?;
    Ok(Response::new(true))
}
