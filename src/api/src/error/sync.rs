//! How the errors of a sync are answered.

use http::StatusCode;
use ruma::api::error::ErrorKind;
use wardstead_sync::SyncError;

use crate::ApiError;

impl From<SyncError> for ApiError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Since => Self::invalid_param("That is no token of a sync, or not yours."),
            SyncError::UnknownPos => {
                let sentence = "Nothing is known of that connection any more: begin a new one.";
                // ruma knows this code as an unstable one, and makes it of its name alone.
                let kind = serde_json::from_str(r#"{"errcode":"M_UNKNOWN_POS"}"#).unwrap_or(ErrorKind::Unknown);
                Self::new(StatusCode::BAD_REQUEST, kind, sentence)
            }
            SyncError::Session(error) => error.into(),
            SyncError::Room(error) => error.into(),
            SyncError::Account(error) => error.into(),
            SyncError::Push(error) => error.into(),
            SyncError::Store(error) => error.into(),
            SyncError::Json(error) => Self::internal(format!("a stored event is not JSON: {error}")),
        }
    }
}
