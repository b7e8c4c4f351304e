//! `POST /_matrix/client/v3/account/password`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3accountpassword>

use ruma::api::{
    auth_scheme::AccessToken,
    client::account::change_password::v3::{Request, Response},
};

use crate::{ApiError, interactive::Interactive, ruma_io::Ruma};

/// With an access token only: without one an e-mail address would have to tell who asks, and nobody is known by one here.
pub(super) async fn account_password(
    Ruma { state, request, caller, .. }: Ruma<Interactive<Request, AccessToken>>,
) -> Result<Response, ApiError> {
    let Request { new_password, logout_devices, .. } = request.request;
    state.identity.change_password(&caller, &new_password, logout_devices, request.auth.as_ref()).await?;
    Ok(Response::new())
}
