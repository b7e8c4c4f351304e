//! `POST /_matrix/client/v3/logout/all`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3logoutall>

use ruma::api::client::session::logout_all::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn logout_all(Ruma { state, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.accounts.logout_all(&caller).await?;
    Ok(Response::new())
}
