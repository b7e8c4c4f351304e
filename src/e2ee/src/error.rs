//! How keys, backups and messages to devices fail.

use wardstead_accounts::AccountsError;
use wardstead_engine::EngineError;
use wardstead_rooms::RoomError;
use wardstead_store::StoreError;

/// Why something was not done. The sentences are meant for the person at the client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum E2eeError {
    /// Keys that cannot be: `M_INVALID_PARAM`.
    #[error("{0}")]
    InvalidParam(&'static str),
    /// A signature that does not verify, or is missing where there must be one: `M_INVALID_SIGNATURE`.
    #[error("{0}")]
    InvalidSignature(&'static str),
    /// Not what the specification says such keys are: `M_BAD_JSON`.
    #[error("{0}")]
    BadJson(&'static str),
    /// A one-time key with this name is there already and is another one: `M_UNKNOWN`, with a sentence that clients look for.
    #[error("One time key {0} already exists and is another one")]
    KeyExists(String),
    /// A device and a cross-signing key would have one name: `M_FORBIDDEN`.
    #[error("a device has the name of a cross-signing key")]
    NameTaken,
    /// A key is signed with one that is not there: `M_MISSING_PARAM`.
    #[error("{0}")]
    Missing(&'static str),
    /// Not for whoever asks: `M_FORBIDDEN`.
    #[error("{0}")]
    Forbidden(&'static str),
    /// No such thing: `M_NOT_FOUND`.
    #[error("{0}")]
    NotFound(&'static str),
    /// More than is kept: `M_TOO_LARGE`.
    #[error("{0}")]
    TooLarge(&'static str),
    /// A key backup to which no keys are added any more: `M_WRONG_ROOM_KEYS_VERSION`.
    #[error("keys are added to another backup now")]
    WrongVersion {
        /// The one to which they are.
        current: String,
    },
    /// Others changed the same at the same time, again and again.
    #[error("others change the same; try again")]
    Contended,
    /// The accounts'.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The rooms'.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EngineError> for E2eeError {
    fn from(error: EngineError) -> Self {
        Self::Store(error.into())
    }
}
