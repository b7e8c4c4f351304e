//! What the driver and the server report, as the engine's classes.

use tokio_postgres::error::SqlState;
use wardstead_engine::{EngineError, Key};

/// What happened, in one line. The server's details and hints are left out: they may hold values.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(reported) = error.as_db_error() {
        return format!("{} ({})", reported.message(), reported.code().code());
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// A failure after which nothing was written.
pub(crate) fn unavailable(error: &tokio_postgres::Error) -> EngineError {
    EngineError::Unavailable(describe(error))
}

/// A failed read of `key` and others.
pub(crate) fn reading(error: &tokio_postgres::Error, key: Option<&Key>) -> EngineError {
    match (error.code(), key) {
        (Some(code), Some(key)) if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
            EngineError::corrupt(key, format!("or its neighbours: {}", describe(error)))
        }
        _ => unavailable(error),
    }
}

pub(crate) fn closed() -> EngineError {
    EngineError::Unavailable("the engine is closed".to_owned())
}
