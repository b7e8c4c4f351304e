//! How the directory's errors are answered. Their sentences are meant for the person at the client.

use wardstead_directory::DirectoryError;

use crate::ApiError;

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Forbidden(sentence) => Self::forbidden(sentence),
            DirectoryError::NotFound(sentence) => Self::not_found(sentence),
            DirectoryError::InvalidParam(sentence) => Self::invalid_param(sentence),
            DirectoryError::Full(sentence) => Self::too_large(sentence),
            DirectoryError::Room(error) => error.into(),
            DirectoryError::Store(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
