//! Whose device lists changed, and who came to share a room with whom (Client-Server API, Tracking the device list for a user).
//!
//! Two logs by position, from which an answer over any range of positions follows: one of the users whose devices or keys changed, at
//! most one row a user; and of each room who came and who went, which each user has of their own moves, too. Nothing is written for
//! those who are to be told: who that is follows from who is in which room when they ask. See `docs/design/24-inbox.md`.

mod moves;
mod tables;

use bytes::Bytes;
use wardstead_engine::{Batch, JournalEntry, Position, PositionSlot, ScanRange};
use wardstead_store::{Store, StoreError, kind};

pub use moves::{Company, Moved, OwnMoves};

use tables::{CELLS, CellRow, LOG, LogRow, USER_MOVES, UserMoveRow};

/// The log of whose devices changed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DeviceListLog {
    store: Store,
}

/// That the devices of a user change, to be added to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ListChange {
    user: u64,
    /// Where the log says it now; zero: nowhere.
    before: Position,
}

impl ListChange {
    /// Adds to `batch` that the devices or keys of the user change with it: two rows, and a journal entry that wakes whoever shares a
    /// room with them.
    pub fn add(self, batch: &mut Batch) {
        let Self { user, before } = self;
        let news = JournalEntry { kind: kind::DEVICE_LIST, scope: user, key: Bytes::new() };
        // A device that takes the place of another one is one change.
        if batch.journal.contains(&news) {
            return;
        }
        let entry = batch.journal(news);
        if before > Position::ZERO {
            batch.delete(LOG.key(0).position(before).key());
        }
        LOG.put(batch, LOG.key(0).slot(entry).template(), &LogRow { user });
        CELLS.put_with(batch, CELLS.key(user).key(), 0, &[PositionSlot::Entry(entry)], &CellRow);
    }
}

impl DeviceListLog {
    /// The log in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Prepares that the devices or keys of `user` change. One read. Of two changes at once each is told; the older row of the log may
    /// then stay, which tells somebody who comes from long ago the same user once more.
    ///
    /// # Errors
    /// The store's.
    pub async fn prepare(&self, user: u64) -> Result<ListChange, StoreError> {
        let cell = self.store.get(&CELLS, &CELLS.key(user).key()).await?;
        Ok(ListChange { user, before: cell.map(|cell| cell.position()).unwrap_or_default() })
    }

    /// The same, and adds it to `batch`.
    ///
    /// # Errors
    /// The store's.
    pub async fn change(&self, batch: &mut Batch, user: u64) -> Result<(), StoreError> {
        self.prepare(user).await?.add(batch);
        Ok(())
    }

    /// Adds to `batch` that what `by` alone sees of the keys of `user` changes with it: a signature of the user-signing key of `by`.
    pub fn signed(batch: &mut Batch, by: u64, user: u64) {
        let entry = batch.journal(JournalEntry { kind: kind::SIGNED, scope: by, key: Bytes::new() });
        USER_MOVES.put(batch, USER_MOVES.key(by).slot(entry).template(), &UserMoveRow::Signed { user });
    }

    /// Short ids of the users whose devices or keys changed after `since`, in the order of their last changes. One scan; at most one row
    /// a user.
    ///
    /// There is no upper end: a change of now takes the place of one that somebody who reads up to an earlier position has to be told.
    /// Told of it too soon, they are told of it again.
    ///
    /// # Errors
    /// The store's.
    pub async fn changed(&self, since: Position) -> Result<Vec<u64>, StoreError> {
        let range = ScanRange { from: LOG.key(0).position(since.next()).key(), ..ScanRange::scope(LOG.id(), 0) };
        let rows = self.store.scan_all(&LOG, range).await?;
        Ok(rows.into_iter().map(|found| found.row.user).collect())
    }
}
