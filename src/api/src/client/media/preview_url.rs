//! `GET /_matrix/client/v1/media/preview_url`
//!
//! Section: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url>

use http::StatusCode;
use ruma::api::{
    client::authenticated_media::get_media_preview::v1::{Request, Response},
    error::ErrorKind,
};

use crate::{ApiError, ruma_io::Ruma};

/// This server makes no previews of pages: it answers as one that lacks the endpoint, to those who are signed in.
pub(super) async fn preview_url(Ruma { .. }: Ruma<Request>) -> Result<Response, ApiError> {
    Err(no_previews())
}

pub(super) fn no_previews() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, ErrorKind::Unrecognized, "This server makes no previews of pages.")
}
