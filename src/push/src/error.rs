//! How push fails.

use wardstead_accounts::AccountsError;
use wardstead_engine::{EngineError, Key};
use wardstead_rooms::RoomError;
use wardstead_store::StoreError;

/// Why something was not counted or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// More rules, or larger ones, than a user may have.
    #[error("too many push rules: {0}")]
    TooLarge(&'static str),
    /// There is no rule with this kind and id.
    #[error("no such push rule")]
    NoSuchRule,
    /// A rule that cannot be, or cannot be removed.
    #[error("{0}")]
    BadRule(&'static str),
    /// A rule is to stand beside one that is not there, or is none of the user's own.
    #[error("the rule to stand beside is not there, or is the server's")]
    NoSuchNeighbour,
    /// A pusher that cannot be: what is wrong, for its user.
    #[error("{0}")]
    BadPusher(String),
    /// Others changed the same too often meanwhile; the same call may succeed later.
    #[error("others changed it too often meanwhile")]
    Busy,
    /// The rooms'.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The accounts'.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EngineError> for PushError {
    fn from(error: EngineError) -> Self {
        Self::Store(error.into())
    }
}

/// What takes part in a commit fails as the store does.
pub(crate) fn of_accounts(error: AccountsError) -> StoreError {
    match error {
        AccountsError::Store(error) => error,
        AccountsError::Lost(losing) => StoreError::Lost(losing),
        error => StoreError::Engine(EngineError::Unavailable(error.to_string())),
    }
}

/// What works through a queue fails as the store does.
pub(crate) fn of_push(error: PushError) -> StoreError {
    match error {
        PushError::Store(error) | PushError::Room(RoomError::Store(error)) => error,
        PushError::Accounts(error) => of_accounts(error),
        error => StoreError::Engine(EngineError::Unavailable(error.to_string())),
    }
}

pub(crate) fn corrupt(key: &Key, what: &str) -> StoreError {
    StoreError::Engine(EngineError::corrupt(key, what))
}
