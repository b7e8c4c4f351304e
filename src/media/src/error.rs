//! How files fail.

use wardstead_engine::EngineError;
use wardstead_store::StoreError;

use crate::{objects::ObjectError, strip, thumbnail};

/// Why something was not done. The sentences are meant for the person at the client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// No such file, or none that anybody may read: `M_NOT_FOUND`.
    #[error("There is no such file.")]
    NotFound,
    /// The file is uploaded later: `M_NOT_YET_UPLOADED`.
    #[error("The file has not been uploaded yet.")]
    NotYetUploaded,
    /// The id has its file: `M_CANNOT_OVERWRITE_MEDIA`.
    #[error("The file has been uploaded already.")]
    AlreadyUploaded,
    /// Not for whoever asks: `M_FORBIDDEN`.
    #[error("{0}")]
    Forbidden(&'static str),
    /// A picture that is not taken as it is: `M_FORBIDDEN`.
    #[error(transparent)]
    Picture(strip::Refused),
    /// Larger than files may be: `M_TOO_LARGE`.
    #[error("A file has at most {0} bytes.")]
    TooLarge(u64),
    /// There are no thumbnails of such a file: `M_UNKNOWN`.
    #[error(transparent)]
    NoThumbnail(thumbnail::Refused),
    /// Too many ids wait for their files: `M_LIMIT_EXCEEDED`. They end after so many milliseconds at the latest.
    #[error("Too many files wait to be uploaded.")]
    TooManyAwaited(u64),
    /// What was uploaded ended early, or came too slowly.
    #[error("The upload ended early.")]
    Interrupted,
    /// Others changed the same at the same time, again and again.
    #[error("others change the same; try again")]
    Contended,
    /// The object store's.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EngineError> for MediaError {
    fn from(error: EngineError) -> Self {
        Self::Store(error.into())
    }
}
