//! How the directory fails.

use wardstead_accounts::AccountsError;
use wardstead_engine::{EngineError, Key};
use wardstead_rooms::RoomError;
use wardstead_store::StoreError;

/// Why something was not shown or done. The sentences are meant for the person at the client.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Not allowed: `M_FORBIDDEN`.
    #[error("{0}")]
    Forbidden(&'static str),
    /// No such room, or none that is shown: `M_NOT_FOUND`.
    #[error("{0}")]
    NotFound(&'static str),
    /// A parameter that cannot be: `M_INVALID_PARAM`.
    #[error("{0}")]
    InvalidParam(&'static str),
    /// The list of published rooms is full: `M_TOO_LARGE`.
    #[error("{0}")]
    Full(&'static str),
    /// The rooms'.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EngineError> for DirectoryError {
    fn from(error: EngineError) -> Self {
        Self::Store(error.into())
    }
}

impl From<AccountsError> for DirectoryError {
    fn from(error: AccountsError) -> Self {
        Self::Room(error.into())
    }
}

pub(crate) fn corrupt(key: &Key, what: &str) -> StoreError {
    StoreError::Engine(EngineError::corrupt(key, what))
}
