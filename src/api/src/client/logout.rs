//! `POST /_matrix/client/v3/logout`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3logout>

use ruma::api::client::session::logout::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn logout(Ruma { state, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    state.accounts.logout(&caller).await?;
    Ok(Response::new())
}
