//! `POST /_matrix/client/v3/register`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3register>

use ruma::api::client::account::register::v3::{Request, Response};

use crate::{ApiError, interactive::Interactive, ruma_io::Ruma};

pub(super) async fn register(Ruma { state, request, .. }: Ruma<Interactive<Request>>) -> Result<Response, ApiError> {
    let registered = state.identity.register(request.request, request.auth.as_ref()).await?;
    let mut response = Response::new(registered.user_id);
    if let Some(login) = registered.login {
        response.device_id = Some(login.session.device_id);
        response.access_token = Some(login.access_token);
    }
    Ok(response)
}
