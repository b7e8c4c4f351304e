//! How the store fails.

use wardstead_engine::{EngineError, Losing};

/// Why a read or a commit did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// An assertion of the batch did not hold; nothing of it was written.
    #[error("the batch lost: {0:?}")]
    Lost(Losing),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store is closing; nothing was written.
    #[error("the server is shutting down")]
    Closed,
}

impl StoreError {
    /// Whether the same request may succeed when it is made again a moment later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Lost(losing) => matches!(losing, Losing::Rebuild),
            Self::Engine(error) => matches!(
                error,
                EngineError::Busy(_)
                    | EngineError::Unavailable(_)
                    | EngineError::Unknown(_)
                    | EngineError::Conflict { .. }
            ),
            Self::Closed => true,
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Reading or writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data was made for a server with another name. A server's name stands in every event and cannot change.
    #[error("this data belongs to the server \"{stored}\"; the configuration says \"{configured}\"")]
    OtherServer {
        /// The name in the data.
        stored: String,
        /// The name in the configuration.
        configured: String,
    },
    /// The data was written by a newer Wardstead that says that this one must not touch it.
    #[error(
        "the data has schema {written}, which needs a Wardstead that knows schema {compatible}; this one knows {ours}. \
         Install the newer version that wrote it, or restore a backup made before the upgrade"
    )]
    NewerSchema {
        /// The schema that was written last.
        written: u32,
        /// The oldest schema whose programs may open the data.
        compatible: u32,
        /// This program's schema.
        ours: u32,
    },
}
