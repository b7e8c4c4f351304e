//! `GET /_matrix/media/v3/config`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3config>

use ruma::UInt;
#[expect(deprecated, reason = "old clients still ask here")]
use ruma::api::client::media::get_media_config::v3::{Request, Response};

use crate::{ApiError, ruma_io::Ruma};

#[expect(deprecated, reason = "old clients still ask here")]
pub(super) async fn old_config(Ruma { state, .. }: Ruma<Request>) -> Result<Response, ApiError> {
    Ok(Response::new(UInt::new_saturating(state.media.file_bytes())))
}
