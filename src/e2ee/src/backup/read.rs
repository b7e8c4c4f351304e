//! Keys are read from a backup: one, or page by page.

use ruma::{OwnedRoomId, RoomId};
use wardstead_engine::{Key, KeyReader, PageLimit, ScanRange};
use wardstead_limits::e2ee as limits;
use wardstead_store::Found;

use super::{
    Backups, KeyData, UNKNOWN_BACKUP, corrupt, key_data,
    tables::{KEYS, KeyRow, key_key, keys_of},
    upload::can_be,
};
use crate::E2eeError;

/// A key and whose it is.
#[derive(Clone, Debug)]
pub struct BackedUp {
    /// Of which room.
    pub room_id: OwnedRoomId,
    /// Of which session.
    pub session_id: String,
    /// The key.
    pub data: KeyData,
}

/// The keys of a backup, a page at a time: whoever reads them holds one page, whatever the size of the backup. There is no snapshot:
/// a key that is replaced meanwhile is the one before or the one after. A backup that is removed meanwhile fails the next page.
#[derive(Debug)]
pub struct KeyPages {
    backups: Backups,
    user: u64,
    version: String,
    backup: u64,
    rest: Option<ScanRange>,
}

impl Backups {
    /// The key of `session_id` in `room_id` (`GET /room_keys/keys/{roomId}/{sessionId}`). Two reads.
    ///
    /// # Errors
    /// `NotFound` when there is no such backup or key, and the store's.
    pub async fn key(
        &self,
        user: u64,
        version: &str,
        room_id: &RoomId,
        session_id: &str,
    ) -> Result<KeyData, E2eeError> {
        let (_, found) = self.existing(user, version).await?;
        let unknown = E2eeError::NotFound("The key backup has no such key.");
        if !can_be(session_id) {
            return Err(unknown);
        }
        let found = self.store.get(&KEYS, &key_key(found.row.backup, room_id, session_id)).await?;
        let found = found.ok_or(unknown)?;
        Ok(key_data(&found.key, found.row)?)
    }

    /// The keys of `room_id`, or of all rooms, in the order of rooms and sessions. One read; the pages follow.
    ///
    /// # Errors
    /// `NotFound` when there is no such backup, and the store's.
    pub async fn keys(&self, user: u64, version: &str, room_id: Option<&RoomId>) -> Result<KeyPages, E2eeError> {
        let (_, found) = self.existing(user, version).await?;
        let backup = found.row.backup;
        let rest = match room_id {
            Some(room_id) => ScanRange::prefix(keys_of(backup, room_id.as_str())),
            None => ScanRange::scope(KEYS.id(), backup),
        };
        Ok(KeyPages { backups: self.clone(), user, version: version.to_owned(), backup, rest: Some(rest) })
    }

    /// That there is the backup, and that its keys lie where they lay.
    async fn still(&self, user: u64, version: &str, backup: u64) -> Result<(), E2eeError> {
        let (_, found) = self.existing(user, version).await?;
        if found.row.backup == backup { Ok(()) } else { Err(UNKNOWN_BACKUP) }
    }
}

impl KeyPages {
    /// The next page, which may be empty; `None` after the last one. Two reads: a backup that went while the page was read may have
    /// lost some of its keys already.
    ///
    /// # Errors
    /// `NotFound` when the backup was removed, or emptied, meanwhile; the store's.
    pub async fn next(&mut self) -> Result<Option<Vec<BackedUp>>, E2eeError> {
        let Some(range) = self.rest.take() else { return Ok(None) };
        let limit = PageLimit { rows: limits::BACKUP_PAGE_KEYS, bytes: limits::BACKUP_PAGE_BYTES };
        let (rows, resume) = self.backups.store.scan(&KEYS, &range, limit).await?;
        self.backups.still(self.user, &self.version, self.backup).await?;
        self.rest = resume.map(|resume| range.resumed(resume));
        rows.into_iter().map(backed_up).collect::<Result<_, _>>().map(Some)
    }

    /// Whether what was read is all.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_none()
    }
}

fn backed_up(found: Found<KeyRow>) -> Result<BackedUp, E2eeError> {
    let (room_id, session_id) = whose(&found.key).ok_or_else(|| corrupt(&found.key, "not the key of a session"))?;
    Ok(BackedUp { room_id, session_id, data: key_data(&found.key, found.row)? })
}

fn whose(key: &Key) -> Option<(OwnedRoomId, String)> {
    let mut key = KeyReader::new(key);
    let (room_id, session_id) = (key.text()?, key.text()?);
    Some((RoomId::parse(room_id).ok()?, session_id))
}
