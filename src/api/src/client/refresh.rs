//! `POST /_matrix/client/v3/refresh`
//!
//! Section: <https://spec.matrix.org/v1.16/client-server-api/#post_matrixclientv3refresh>

use std::time::Duration;

use ruma::api::client::session::refresh_token::v3::{Request, Response};

use crate::{ApiError, limiter::Group, ruma_io::Ruma};

pub(super) async fn refresh(Ruma { state, request, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    // A device in a loop holds up itself, and nobody who is behind the same address.
    if let Some(device) = state.accounts.device_of_refresh_token(&request.refresh_token).await? {
        state.limiter.count_device(Group::Refresh, device)?;
    }
    let login = state.accounts.refresh(&request.refresh_token).await?;
    let mut response = Response::new(login.access_token);
    response.refresh_token = login.refresh_token;
    response.expires_in_ms = login.expires_in_ms.map(Duration::from_millis);
    Ok(response)
}
