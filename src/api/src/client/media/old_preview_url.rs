//! `GET /_matrix/media/v3/preview_url`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3preview_url>

#[expect(deprecated, reason = "old clients still ask here")]
use ruma::api::client::media::get_media_preview::v3::{Request, Response};

use super::preview_url::no_previews;
use crate::{ApiError, ruma_io::Ruma};

#[expect(deprecated, reason = "old clients still ask here")]
pub(super) async fn old_preview_url(Ruma { .. }: Ruma<Request>) -> Result<Response, ApiError> {
    Err(no_previews())
}
