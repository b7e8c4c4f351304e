//! What the engine, its committer and its readers share.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::RwLock;
use wardstead_engine::{EngineError, Position};

use crate::database::Database;

/// The open database, the newest position, and whether a write has failed.
pub(crate) struct Shared {
    /// `None` once closed. Held for reading during each call, so that closing waits for them.
    database: RwLock<Option<Database>>,
    /// Stored only when everything up to it is durable and visible.
    newest: AtomicU64,
    /// Set by the first write of which nobody knows what is on disk.
    failed: OnceLock<String>,
}

impl Shared {
    pub(crate) fn new(database: Database, newest: Position) -> Self {
        let failed = OnceLock::new();
        if database.is_read_only() {
            failed.get_or_init(|| "it was opened to be read".to_owned());
        }
        Self { database: RwLock::new(Some(database)), newest: AtomicU64::new(newest.0), failed }
    }

    pub(crate) fn newest(&self) -> Position {
        Position(self.newest.load(Ordering::Acquire))
    }

    /// Called by the committer thread alone, after the durable write.
    pub(crate) fn publish(&self, newest: Position) {
        self.newest.store(newest.0, Ordering::Release);
    }

    pub(crate) fn check_floor(&self, at: Position) -> Result<(), EngineError> {
        let newest = self.newest();
        if at <= newest { Ok(()) } else { Err(EngineError::floor(at, newest)) }
    }

    /// From here on nothing is acknowledged.
    pub(crate) fn fail(&self, why: String) {
        tracing::error!(%why, "RocksDB failed a write; the engine takes no more until it is opened again");
        self.failed.get_or_init(|| why);
    }

    pub(crate) fn check_writable(&self) -> Result<(), EngineError> {
        match self.failed.get() {
            None => Ok(()),
            Some(why) => Err(EngineError::Unavailable(format!("closed to writes since: {why}"))),
        }
    }

    /// Runs `call` on the open database.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&Database) -> Result<T, EngineError>) -> Result<T, EngineError> {
        match self.database.read().as_ref() {
            Some(database) => call(database),
            None => Err(closed()),
        }
    }

    pub(crate) fn close(&self) -> Result<(), EngineError> {
        match self.database.write().take() {
            Some(database) => database.flush(),
            None => Ok(()),
        }
    }
}

pub(crate) fn closed() -> EngineError {
    EngineError::Unavailable("the engine is closed".into())
}
