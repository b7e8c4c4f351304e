//! How RocksDB stands, for readiness and metrics.

use rocksdb::properties;
use wardstead_engine::{AccessPattern, EngineError};
use wardstead_limits::engine as limits;

use crate::{RocksEngine, database::Database};

/// Figures of an open RocksDB. Reading them looks at files: blocking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes in the block cache.
    pub block_cache_bytes: u64,
    /// Bytes that it holds at most.
    pub block_cache_limit_bytes: u64,
    /// Bytes in all memtables.
    pub memtable_bytes: u64,
    /// Bytes of the log of writes that are not in tables yet, archived ones not counted.
    pub wal_bytes: u64,
    /// Bytes that the log has at most before memtables are written out.
    pub wal_limit_bytes: u64,
    /// Bytes of all tables.
    pub table_bytes: u64,
    /// Bytes that wait to be compacted.
    pub compaction_bytes: u64,
}

impl RocksEngine {
    /// The figures now.
    ///
    /// # Errors
    /// `Unavailable` when the engine is closed or RocksDB does not tell.
    pub fn status(&self) -> Result<Status, EngineError> {
        self.shared.with(read)
    }

    /// Why nothing can be written any more: a write failed, and nobody knows what of it is on the disk.
    #[must_use]
    pub fn write_failure(&self) -> Option<String> {
        self.shared.check_writable().err().map(|error| error.to_string())
    }
}

fn read(database: &Database) -> Result<Status, EngineError> {
    let unavailable = |error: rocksdb::Error| EngineError::Unavailable(error.to_string());
    let property = |pattern, name| {
        let family = database.family(pattern)?;
        let value = database.rocks().property_int_value_cf(family, name).map_err(unavailable)?;
        Ok::<u64, EngineError>(value.unwrap_or_default())
    };
    let sum = |name| {
        let all = AccessPattern::ALL.into_iter().map(|pattern| property(pattern, name));
        all.sum::<Result<u64, EngineError>>()
    };
    Ok(Status {
        // One cache for all column families: each tells the same.
        block_cache_bytes: property(AccessPattern::Point, properties::BLOCK_CACHE_USAGE)?,
        block_cache_limit_bytes: property(AccessPattern::Point, properties::BLOCK_CACHE_CAPACITY)?,
        memtable_bytes: sum(properties::SIZE_ALL_MEM_TABLES)?,
        wal_bytes: wal_bytes(database)?,
        wal_limit_bytes: limits::WAL_BYTES,
        table_bytes: sum(properties::TOTAL_SST_FILES_SIZE)?,
        compaction_bytes: sum(properties::ESTIMATE_PENDING_COMPACTION_BYTES)?,
    })
}

/// RocksDB has no property for it.
fn wal_bytes(database: &Database) -> Result<u64, EngineError> {
    let unavailable = |error: std::io::Error| EngineError::Unavailable(error.to_string());
    let mut bytes = 0;
    for entry in std::fs::read_dir(database.rocks().path()).map_err(unavailable)? {
        let entry = entry.map_err(unavailable)?;
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            // A log that was removed in the meantime holds nothing.
            bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    Ok(bytes)
}
