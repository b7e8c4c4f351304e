//! `POST /_matrix/client/v3/register`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3register>

use std::time::Duration;

use ruma::api::client::account::register::v3::{Request, Response};

use crate::{ApiError, interactive::Interactive, ruma_io::Ruma};

pub(super) async fn register(
    Ruma { state, request, client, .. }: Ruma<Interactive<Request>>,
) -> Result<Response, ApiError> {
    let registered = state.identity.register(request.request, request.auth.as_ref(), &client).await?;
    let mut response = Response::new(registered.user_id);
    if let Some(login) = registered.login {
        response.device_id = Some(login.session.device_id);
        response.access_token = Some(login.access_token);
        response.refresh_token = login.refresh_token;
        response.expires_in = login.expires_in_ms.map(Duration::from_millis);
    }
    Ok(response)
}
