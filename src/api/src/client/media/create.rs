//! `POST /_matrix/media/v1/create`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create>

use ruma::{
    MilliSecondsSinceUnixEpoch, UInt,
    api::client::media::create_mxc_uri::v1::{Request, Response},
};

use super::upload::uri;
use crate::{ApiError, ruma_io::Ruma};

pub(super) async fn create(Ruma { state, caller, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    let awaited = state.media.create(caller.user).await?;
    let mut response = Response::new(uri(&state, &awaited.id));
    response.unused_expires_at = Some(MilliSecondsSinceUnixEpoch(UInt::new_saturating(awaited.expires_ms)));
    Ok(response)
}
