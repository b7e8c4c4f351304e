//! How the errors of a sync are answered.

use wardstead_sync::SyncError;

use crate::ApiError;

impl From<SyncError> for ApiError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Since => Self::invalid_param("That is no token of a sync, or not yours."),
            SyncError::Session(error) => error.into(),
            SyncError::Room(error) => error.into(),
            SyncError::Account(error) => error.into(),
            SyncError::Push(error) => error.into(),
            SyncError::Store(error) => error.into(),
            SyncError::Json(error) => Self::internal(format!("a stored event is not JSON: {error}")),
        }
    }
}
