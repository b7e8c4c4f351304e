//! Key backups: encrypted copies of a user's room keys, for devices that come later (Client-Server API, Server-side key backups).
//!
//! What a backup holds is for the server opaque. Whatever changes its keys is one commit with its count and its etag, which asserts the
//! backup's row: uploads from several devices on several nodes take turns. Formats: `docs/design/25-key-backup.md`.

mod follow;
mod read;
mod remove;
mod tables;
#[cfg(test)]
mod tests;
mod upload;
mod versions;

use std::{fmt, sync::Arc};

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{Mutex, MutexGuard};
use wardstead_accounts::Accounts;
use wardstead_engine::{Batch, EngineError, Expect, Key, Losing};
use wardstead_limits::e2ee as limits;
use wardstead_store::{Found, Store, StoreError};

pub use follow::BackupKeeper;
pub use read::{BackedUp, KeyPages};
pub use remove::Keys;
pub use upload::KeysByRoom;

use crate::E2eeError;
use tables::{BACKUPS, BackupRow, HEADS, HeadRow, KeyRow, backup_key, head_key};

/// The key backups of this server's users. Cheap to clone.
#[derive(Clone)]
pub struct Backups {
    store: Store,
    accounts: Accounts,
    /// For fairness on this node; who wins is decided by assertions.
    turns: Arc<[Mutex<()>]>,
}

impl fmt::Debug for Backups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backups").finish_non_exhaustive()
    }
}

/// What a backup is, without its keys.
#[derive(Clone, Debug)]
pub struct BackupInfo {
    /// Its number; later ones have higher ones.
    pub version: u64,
    /// How its keys are encrypted.
    pub algorithm: String,
    /// What is to be known for that: a JSON object.
    pub auth_data: Box<RawValue>,
    /// What is in it.
    pub stored: Stored,
}

/// How many keys a backup has, and what changes when they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Keys in it.
    pub count: u64,
    /// Another one whenever the keys are others, and only then.
    pub etag: u64,
}

/// One key, as a client made it (Client-Server API, `KeyBackupData`).
#[derive(Clone, Debug, Serialize)]
pub struct KeyData {
    /// Index of the first message that it can decrypt.
    pub first_message_index: u64,
    /// How often it was forwarded.
    pub forwarded_count: u64,
    /// Whether the device that uploaded it has verified the one that it is from.
    pub is_verified: bool,
    /// A JSON object, which the server does not look into.
    pub session_data: Box<RawValue>,
}

/// A row and the version that a change of it asserts; 0: there is none.
struct Head {
    row: HeadRow,
    version: u64,
}

impl Backups {
    /// The backups in `store` of users in `accounts`.
    #[must_use]
    pub fn new(store: Store, accounts: Accounts) -> Self {
        let turns = (0..limits::BACKUP_SHARDS).map(|_| Mutex::default()).collect();
        Self { store, accounts, turns }
    }

    /// Has changes of one user's backups on this node come one after the other.
    async fn turn(&self, user: u64) -> MutexGuard<'_, ()> {
        let shards = self.turns.len() as u64;
        let shard = usize::try_from(user % shards).unwrap_or_default();
        self.turns[shard].lock().await
    }

    /// What the user has, and the backup `version`, which is what a client says it is called. One read.
    async fn backup(&self, user: u64, version: &str) -> Result<(Head, Option<(u64, Found<BackupRow>)>), StoreError> {
        let number = number(version);
        let keys: Vec<Key> =
            [head_key(user)].into_iter().chain(number.map(|number| backup_key(user, number))).collect();
        let mut cells = keys.iter().cloned().zip(self.store.cells(&keys).await?);
        let head = match cells.next() {
            Some((key, Some(cell))) => {
                let Found { row, version, .. } = HEADS.found(key, cell)?;
                Head { row, version }
            }
            _ => Head { row: HeadRow::default(), version: 0 },
        };
        let found = cells.next().and_then(|(key, cell)| Some((number?, key, cell?)));
        let found =
            found.map(|(number, key, cell)| BACKUPS.found(key, cell).map(|found| (number, found))).transpose()?;
        Ok((head, found))
    }

    /// The backup `version`, whichever it is. One read.
    async fn existing(&self, user: u64, version: &str) -> Result<(u64, Found<BackupRow>), E2eeError> {
        self.backup(user, version).await?.1.ok_or(UNKNOWN_BACKUP)
    }

    /// Commits; `false`: somebody was quicker, and it is to be built again.
    async fn won(&self, batch: Batch) -> Result<bool, E2eeError> {
        match self.store.commit(batch).await {
            Ok(_) => Ok(true),
            Err(StoreError::Lost(Losing::Rebuild)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

const UNKNOWN_BACKUP: E2eeError = E2eeError::NotFound("There is no such key backup.");

impl Head {
    fn assert(&self, batch: &mut Batch, user: u64) {
        let expect = if self.version == 0 { Expect::Absent } else { Expect::Version(self.version) };
        batch.expect(head_key(user), expect, Losing::Rebuild);
    }

    fn put(&self, batch: &mut Batch, user: u64, row: &HeadRow) {
        self.assert(batch, user);
        HEADS.put_with(batch, head_key(user), self.version + 1, &[], row);
    }
}

/// Adds to `batch` that the backup that was read is `row` from now on.
fn change(batch: &mut Batch, found: &Found<BackupRow>, row: &BackupRow) {
    batch.expect(found.key.clone(), Expect::Version(found.version), Losing::Rebuild);
    BACKUPS.put_with(batch, found.key.clone(), found.version + 1, &[], row);
}

/// The number that a client calls `version`; `None`: nothing was ever called so.
fn number(version: &str) -> Option<u64> {
    let number: u64 = version.parse().ok()?;
    // One name for each backup.
    (number > 0 && number.to_string() == version).then_some(number)
}

fn stored(row: &BackupRow) -> Stored {
    Stored { count: row.count, etag: row.etag }
}

fn raw(key: &Key, json: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(json).map_err(|_| corrupt(key, "not JSON"))
}

fn key_data(key: &Key, row: KeyRow) -> Result<KeyData, StoreError> {
    let KeyRow { first_message_index, forwarded_count, is_verified, session_data } = row;
    Ok(KeyData { first_message_index, forwarded_count, is_verified, session_data: raw(key, session_data)? })
}

fn corrupt(key: &Key, what: &str) -> StoreError {
    StoreError::Engine(EngineError::corrupt(key, what))
}
