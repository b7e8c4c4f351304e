//! `POST /_matrix/client/v3/refresh`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3refresh>

use std::time::Duration;

use ruma::api::client::session::refresh_token::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn refresh(Ruma { state, request, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let login = state.accounts.refresh(&request.refresh_token).await?;
    let mut response = Response::new(login.access_token);
    response.refresh_token = login.refresh_token;
    response.expires_in_ms = login.expires_in_ms.map(Duration::from_millis);
    Ok(response)
}
