//! How the errors of files are answered.

use http::StatusCode;
use ruma::api::error::ErrorKind;
use wardstead_media::{MediaError, thumbnail::Refused};

use crate::ApiError;

impl From<MediaError> for ApiError {
    fn from(error: MediaError) -> Self {
        let sentence = error.to_string();
        match error {
            MediaError::NotFound => Self::not_found(sentence),
            MediaError::NotYetUploaded => Self::new(StatusCode::GATEWAY_TIMEOUT, ErrorKind::NotYetUploaded, sentence),
            MediaError::AlreadyUploaded => Self::new(StatusCode::CONFLICT, ErrorKind::CannotOverwriteMedia, sentence),
            MediaError::Forbidden(_) | MediaError::Picture(_) => Self::forbidden(sentence),
            MediaError::TooLarge(_) | MediaError::NoThumbnail(Refused::TooLarge) => Self::too_large(sentence),
            MediaError::NoThumbnail(_) | MediaError::Interrupted => {
                Self::new(StatusCode::BAD_REQUEST, ErrorKind::Unknown, sentence)
            }
            MediaError::TooManyAwaited(ms) => {
                Self::limited("awaited_files", ms, "Too many of your files have not been uploaded yet.")
            }
            MediaError::Contended | MediaError::Object(_) => Self::unavailable(error),
            MediaError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
