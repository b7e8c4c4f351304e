//! Keys are removed from a backup; what nobody can reach any more is removed by the work behind.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::RoomId;
use wardstead_engine::{Batch, KeyReader, Losing, PageLimit, ScanRange};
use wardstead_limits::e2ee as limits;
use wardstead_store::{Claim, Found, Handled, QueueHandler, Store, StoreError};

use super::{
    Backups, Stored, change, corrupt, stored,
    tables::{BackupRow, KEYS, LEFT, LeftRow, ROOMS, RoomRow, key_key, keys_of, room_key},
    upload::can_be,
};
use crate::E2eeError;

/// Some keys of a backup.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    /// Every one.
    All,
    /// Those of this room.
    Room(&'a RoomId),
    /// That of this session in this room.
    Session(&'a RoomId, &'a str),
}

impl Backups {
    /// Removes `keys` from the backup `version`, which need not be the newest one (`DELETE /room_keys/keys` and its variants). Those that
    /// are not there are passed over. One batch; of all keys, one of a few rows, and the work behind removes the keys.
    ///
    /// # Errors
    /// `NotFound` when there is no such backup, `Contended`, and the store's.
    pub async fn remove_keys(&self, user: u64, version: &str, keys: Keys<'_>) -> Result<Stored, E2eeError> {
        let _turn = self.turn(user).await;
        for _ in 0..limits::BACKUP_TRIES {
            let (_, found) = self.existing(user, version).await?;
            let mut batch = Batch::new();
            let Some(mut row) = self.without(&mut batch, &found.row, keys).await? else {
                return Ok(stored(&found.row));
            };
            row.etag += 1;
            change(&mut batch, &found, &row);
            if self.won(batch).await? {
                return Ok(stored(&row));
            }
        }
        Err(E2eeError::Contended)
    }

    /// Adds the removal of `keys` to `batch`, and gives what becomes of the backup's row. `None`: none of them is there.
    async fn without(
        &self,
        batch: &mut Batch,
        row: &BackupRow,
        keys: Keys<'_>,
    ) -> Result<Option<BackupRow>, E2eeError> {
        let backup = row.backup;
        let removed = match keys {
            Keys::All if row.count == 0 => return Ok(None),
            Keys::All => {
                let (empty, number) = (self.store.next_id().await?, self.store.next_id().await?);
                LEFT.push_after(batch, backup, self.store.position(), number, &LeftRow);
                return Ok(Some(BackupRow { backup: empty, count: 0, ..row.clone() }));
            }
            Keys::Room(room_id) => {
                let key = room_key(backup, room_id.as_str());
                let Some(room) = self.store.get(&ROOMS, &key).await? else { return Ok(None) };
                batch.delete(key);
                let prefix = keys_of(backup, room_id.as_str());
                batch.delete_range(prefix.clone(), prefix.after_prefix());
                room.row.count
            }
            Keys::Session(_, session_id) if !can_be(session_id) => return Ok(None),
            Keys::Session(room_id, session_id) => {
                let key = key_key(backup, room_id, session_id);
                if self.store.get(&KEYS, &key).await?.is_none() {
                    return Ok(None);
                }
                batch.delete(key);
                let key = room_key(backup, room_id.as_str());
                // Read after the key, which may have been removed meanwhile: then the batch loses.
                match self.store.get(&ROOMS, &key).await?.map_or(0, |room| room.row.count) {
                    0 | 1 => batch.delete(key),
                    count => {
                        ROOMS.put(batch, key, &RoomRow { count: count - 1 });
                        batch
                    }
                };
                1
            }
        };
        Ok(Some(BackupRow { count: row.count.saturating_sub(removed), ..row.clone() }))
    }

    /// Removes, from now on and until the store is closed, the keys of backups that are no user's any more. Called once, when the parts
    /// are wired, on every node.
    pub fn run_removals(&self) {
        self.store.run_queue(&LEFT, Arc::new(Removal(self.store.clone())));
    }
}

/// Removes the keys of backups that are no user's any more, some rooms at a time.
struct Removal(Store);

#[async_trait]
impl QueueHandler<LeftRow> for Removal {
    async fn handle(&self, backup: u64, rows: &[Found<LeftRow>], claim: &Claim) -> Result<Handled, StoreError> {
        loop {
            let mut batch = Batch::new();
            if self.remove_some(&mut batch, backup).await? {
                return Ok(Handled::Done { rows: rows.len(), batch });
            }
            // No rows yet: the claim alone, so that a node that was replaced stops here.
            claim.take::<LeftRow>(&mut batch, &[]);
            match self.0.commit(batch).await {
                Ok(_) | Err(StoreError::Lost(Losing::Rebuild)) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Removal {
    /// Adds to `batch` the removal of the first rooms of `backup` with their keys; whether these are the last ones.
    async fn remove_some(&self, batch: &mut Batch, backup: u64) -> Result<bool, StoreError> {
        let scope = ScanRange::scope(ROOMS.id(), backup);
        let (rooms, resume) = self.0.scan(&ROOMS, &scope, PageLimit::rows(limits::BACKUP_PAGE_ROOMS)).await?;
        let mut keys = 0;
        let some = rooms.iter().position(|room| {
            keys += room.row.count;
            keys >= limits::BACKUP_REMOVED_KEYS
        });
        let end = some.map_or(rooms.len(), |last| last + 1);
        let Some(last) = rooms[..end].last() else { return Ok(true) };
        let room_id = KeyReader::new(&last.key).text().ok_or_else(|| corrupt(&last.key, "not a room"))?;
        batch.delete_range(KEYS.key(backup).key(), keys_of(backup, &room_id).after_prefix());
        batch.delete_range(scope.from, last.key.successor());
        Ok(end == rooms.len() && resume.is_none())
    }
}
