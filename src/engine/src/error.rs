//! How an engine fails; the same classes for every engine.

use crate::{InvalidBatch, Key, Position};

/// An engine's failure. Nothing of the call took effect, but for [`Self::Unknown`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Another writer changed what the group stands on as a whole (its epoch). Read again.
    #[error("the epoch is {actual}, the group was built in {expected}")]
    Conflict {
        /// The epoch that the group states.
        expected: u64,
        /// The stored one.
        actual: u64,
    },
    /// Too much is waiting; the same call may succeed a moment later.
    #[error("the engine is busy: {0}")]
    Busy(&'static str),
    /// A commit of which nobody can say yet whether it took effect. The committer looks its writer up in the journal.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(String),
    /// A row is not what was written: its checksum or its form is wrong.
    #[error("{key:?} is corrupt: {what}")]
    Corrupt {
        /// The row.
        key: Key,
        /// What is wrong with it.
        what: String,
    },
    /// The engine cannot be reached, the disk fails, or the floor was not reached in time.
    #[error("the engine is unavailable: {0}")]
    Unavailable(String),
    /// A batch that can never be committed.
    #[error("invalid batch: {0}")]
    Invalid(#[from] InvalidBatch),
}

impl EngineError {
    /// The row under `key` is not what was written.
    #[must_use]
    pub fn corrupt(key: &Key, what: impl Into<String>) -> Self {
        Self::Corrupt { key: key.clone(), what: what.into() }
    }

    /// A floor above the newest visible position.
    #[must_use]
    pub fn floor(at: Position, newest: Position) -> Self {
        Self::Unavailable(format!("position {at} was asked for, {newest} is the newest"))
    }
}
