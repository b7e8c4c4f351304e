//! The embedded engine. One RocksDB, one committer thread that turns each group into one write batch with `sync`, and a
//! bounded pool of threads for the reads that are not in memory.
//!
//! The newest position moves only after a group is durable. When RocksDB fails a write and nobody can say what of it is on
//! disk, the engine acknowledges nothing more until it is opened again.

pub mod backup;
mod committer;
mod database;
pub mod files;
mod folder;
mod options;
mod readers;
pub mod restore;
mod shared;
mod status;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use wardstead_engine::{
    Cell, Engine, EngineError, EngineLimits, Group, GroupOutcome, Key, Lease, LeaseRequest, Page, PageLimit, Position,
    ScanRange, check_get,
};
use wardstead_limits::{Clock, engine as limits};

use committer::Committer;
use database::{Database, Tier};
pub use options::RocksOptions;
use readers::Readers;
use shared::Shared;
pub use status::Status;

/// The engine. Dropping it closes it.
pub struct RocksEngine {
    shared: Arc<Shared>,
    committer: Committer,
    readers: Readers,
}

impl std::fmt::Debug for RocksEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksEngine").field("newest", &self.shared.newest()).finish_non_exhaustive()
    }
}

impl RocksEngine {
    /// Opens the folder `path`, makes it where it is missing, and starts the threads. Leases expire by `clock`. Blocks for
    /// as long as RocksDB needs to replay its log.
    ///
    /// # Errors
    /// `Unavailable` when another process has the folder open, a restore into it did not finish, its log is damaged before
    /// its end, or the storage fails; `Corrupt` when the newest journal row is.
    pub fn open(path: &Path, options: &RocksOptions, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        folder::check_log(path)?;
        Self::open_cutting(path, options, clock)
    }

    /// As [`Self::open`], but where the log is damaged before its end, what was acknowledged behind the damage is given up.
    /// Begin an epoch then.
    ///
    /// # Errors
    /// As [`Self::open`], but for such a log; `Unavailable`, too, when tables hold writes that the log has lost.
    pub fn open_cutting(path: &Path, options: &RocksOptions, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        folder::check_whole(path)?;
        Self::open_part(path, options, clock)
    }

    /// Opens a folder whose restore is not finished, too.
    pub(crate) fn open_part(path: &Path, options: &RocksOptions, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        folder::make(path).map_err(|error| EngineError::Unavailable(format!("{}: {error}", path.display())))?;
        Self::start(Database::open(path, &options::database(options), options::families(options))?, clock)
    }

    /// Opens a folder that no server has open, to read it, and changes nothing in it. Commits are `Unavailable`.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read or a restore into it did not finish; `Corrupt` as [`Self::open`].
    pub fn open_read_only(path: &Path, options: &RocksOptions, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        folder::check_whole(path)?;
        let rocks = options::database(options);
        Self::start(Database::open_read_only(path, &rocks, options::families(options))?, clock)
    }

    fn start(database: Database, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        let newest = database.newest_position()?;
        let shared = Arc::new(Shared::new(database, newest));
        let readers = Readers::start(&shared)?;
        let committer = Committer::start(&shared, clock).inspect_err(|_| readers.close())?;
        Ok(Self { shared, committer, readers })
    }

    /// Finishes what is queued, ends the threads and closes the folder. Calls after it are `Unavailable`. Blocks; a second
    /// call does nothing.
    ///
    /// # Errors
    /// `Unavailable` when the memtables could not be written out. Nothing is lost then: the log has it.
    pub fn close(&self) -> Result<(), EngineError> {
        self.committer.close();
        self.readers.close();
        self.shared.close()
    }

    /// Tries `read` in memory on this thread, when it is small, then on a reader thread.
    async fn read<T: Send + 'static>(
        &self,
        at: Position,
        small: bool,
        read: impl Fn(&Database, Tier) -> Result<Option<T>, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.shared.check_floor(at)?;
        if small && let Some(found) = self.shared.with(|database| read(database, Tier::Memory))? {
            return Ok(found);
        }
        let full = move |database: &Database| {
            let found = read(database, Tier::Disk)?;
            found.ok_or_else(database::half)
        };
        self.readers.run(full).await
    }
}

impl Drop for RocksEngine {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "RocksDB closed without writing out its memtables");
        }
    }
}

#[async_trait]
impl Engine for RocksEngine {
    async fn get_many(&self, at: Position, keys: &[Key]) -> Result<Vec<Option<Cell>>, EngineError> {
        check_get(keys)?;
        let small = keys.len() <= limits::INLINE_READ_ROWS;
        let keys = keys.to_vec();
        self.read(at, small, move |database, tier| database.cells(&keys, tier)).await
    }

    async fn scan(&self, at: Position, range: &ScanRange, page: PageLimit) -> Result<Page, EngineError> {
        let range = range.clone();
        // Callers ask for full pages of ranges that hold a few rows: try whether this is one.
        let short = PageLimit { rows: page.rows.min(limits::INLINE_READ_ROWS), ..page };
        let whole =
            move |found: &Page| found.resume.is_none() || found.rows.len() < short.rows || short.rows == page.rows;
        let read = move |database: &Database, tier| match tier {
            Tier::Memory => Ok(database.page(&range, short, tier)?.filter(&whole)),
            Tier::Disk => database.page(&range, page, tier),
        };
        self.read(at, true, read).await
    }

    /// Dropping the future does not cancel the commit.
    async fn commit_group(&self, group: Group) -> Result<GroupOutcome, EngineError> {
        group.validate(&self.limits())?;
        self.committer.commit(group).await
    }

    async fn position(&self) -> Result<Position, EngineError> {
        self.shared.with(|_| Ok(self.shared.newest()))
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Option<Lease>, EngineError> {
        self.committer.lease(request).await
    }

    fn limits(&self) -> EngineLimits {
        EngineLimits::default()
    }
}
