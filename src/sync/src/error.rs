//! How a sync fails.

use wardstead_accounts::{AccountsError, AuthError};
use wardstead_push::PushError;
use wardstead_rooms::RoomError;
use wardstead_store::StoreError;

/// Why there is no answer. The client keeps its token and asks again; nothing is skipped.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// `since`, or another token of a sync, was not issued by this server, or not to this user where that matters.
    #[error("that is no token of a sync, or not yours")]
    Since,
    /// Nothing is known of the connection of a sliding sync with this token: it begins anew.
    #[error("nothing is known of that connection any more")]
    UnknownPos,
    /// The session ended while the client waited.
    #[error(transparent)]
    Session(#[from] AuthError),
    /// A room could not be read.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The user's account could not be read.
    #[error(transparent)]
    Account(#[from] AccountsError),
    /// What was not read could not be counted.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The response could not be written as JSON: a stored event is not JSON.
    #[error("an event is not JSON: {0}")]
    Json(#[from] serde_json::Error),
}
