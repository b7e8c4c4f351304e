//! Keys are added to a backup, in the place of those that they are better than.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, RoomId};
use wardstead_engine::{Batch, Key};
use wardstead_limits::e2ee as limits;
use wardstead_store::Found;

use super::{
    Backups, Head, KeyData, Stored, change, stored,
    tables::{BackupRow, KEYS, KeyRow, ROOMS, RoomRow, key_key, room_key},
};
use crate::E2eeError;

/// Keys by room and session.
pub type KeysByRoom = BTreeMap<OwnedRoomId, BTreeMap<String, KeyData>>;

/// One key and whose it is.
struct Given<'a> {
    room_id: &'a RoomId,
    session_id: &'a str,
    data: &'a KeyData,
}

impl Given<'_> {
    /// As it will be stored.
    fn bytes(&self) -> usize {
        // Short id, numbers and ends of the texts.
        let rest = 64;
        self.room_id.as_str().len() + self.session_id.len() + self.data.session_data.get().len() + rest
    }
}

impl Backups {
    /// Adds `keys` to the backup `version` of `user`, which has to be the newest one. A key of a session that the backup has a key of
    /// takes its place only where it is better (Client-Server API, Server-side key backups). Keys beyond
    /// [`limits::BACKUP_BATCH_KEYS`] and [`limits::BACKUP_BATCH_BYTES`] follow in further batches, each of which has the count and the
    /// etag of what it adds; when one of those fails, what came before stays, and the same upload again adds the rest.
    ///
    /// # Errors
    /// `NotFound`, `WrongVersion`, `InvalidParam`, `TooLarge`, `Contended`, and the store's.
    pub async fn put_keys(&self, user: u64, version: &str, keys: &KeysByRoom) -> Result<Stored, E2eeError> {
        let given: Vec<Given<'_>> = keys
            .iter()
            .flat_map(|(room_id, sessions)| {
                sessions.iter().map(|(session_id, data)| Given { room_id, session_id, data })
            })
            .collect();
        given.iter().try_for_each(check_bounds)?;
        let _turn = self.turn(user).await;
        let mut rest = given.as_slice();
        loop {
            let (now, later) = rest.split_at(fitting(rest));
            let stored = self.put_some(user, version, now).await?;
            if later.is_empty() {
                return Ok(stored);
            }
            rest = later;
        }
    }

    /// In one batch.
    async fn put_some(&self, user: u64, version: &str, given: &[Given<'_>]) -> Result<Stored, E2eeError> {
        for _ in 0..limits::BACKUP_TRIES {
            let (head, found) = self.current(user, version).await?;
            let better = self.better(found.row.backup, given).await?;
            if better.is_empty() {
                return Ok(stored(&found.row));
            }
            let mut batch = Batch::new();
            head.assert(&mut batch, user);
            let row = self.add(&mut batch, &found, &better).await?;
            change(&mut batch, &found, &row);
            if self.won(batch).await? {
                return Ok(stored(&row));
            }
        }
        Err(E2eeError::Contended)
    }

    /// The backup `version`, if keys are added to it.
    async fn current(&self, user: u64, version: &str) -> Result<(Head, Found<BackupRow>), E2eeError> {
        let (head, found) = self.backup(user, version).await?;
        let current = head.row.standing.last().copied();
        match (current, found) {
            (None, _) => Err(E2eeError::NotFound("There is no key backup.")),
            (Some(current), Some((number, found))) if number == current => Ok((head, found)),
            (Some(current), _) => Err(E2eeError::WrongVersion { current: current.to_string() }),
        }
    }

    /// Those of `given` that the backup has no key of, or a worse one, and whether it has none.
    async fn better<'a, 'b>(
        &self,
        backup: u64,
        given: &'b [Given<'a>],
    ) -> Result<Vec<(&'b Given<'a>, bool)>, E2eeError> {
        let keys: Vec<Key> = given.iter().map(|given| key_key(backup, given.room_id, given.session_id)).collect();
        let standing = self.store.get_many(&KEYS, &keys).await?;
        let better = given.iter().zip(standing).filter_map(|(given, standing)| match standing {
            None => Some((given, true)),
            Some(standing) => is_better(given.data, &standing.row).then_some((given, false)),
        });
        Ok(better.collect())
    }

    /// Adds keys to `batch`, and how many of them are of which room. Gives what becomes of the backup's row.
    async fn add(
        &self,
        batch: &mut Batch,
        found: &Found<BackupRow>,
        better: &[(&Given<'_>, bool)],
    ) -> Result<BackupRow, E2eeError> {
        let mut row = found.row.clone();
        let mut more: BTreeMap<&RoomId, u64> = BTreeMap::new();
        for (given, is_new) in better {
            let KeyData { first_message_index, forwarded_count, is_verified, session_data } = given.data;
            let key_row = KeyRow {
                first_message_index: *first_message_index,
                forwarded_count: *forwarded_count,
                is_verified: *is_verified,
                session_data: session_data.get().to_owned(),
            };
            KEYS.put(batch, key_key(row.backup, given.room_id, given.session_id), &key_row);
            if *is_new {
                *more.entry(given.room_id).or_default() += 1;
                row.count += 1;
            }
        }
        if row.count > limits::BACKUP_KEYS && row.count > found.row.count {
            return Err(E2eeError::TooLarge("The key backup is full."));
        }
        let keys: Vec<Key> = more.keys().map(|room_id| room_key(row.backup, room_id.as_str())).collect();
        let rooms = self.store.get_many(&ROOMS, &keys).await?;
        for ((key, room), more) in keys.into_iter().zip(rooms).zip(more.into_values()) {
            let before = room.map_or(0, |room| room.row.count);
            ROOMS.put(batch, key, &RoomRow { count: before + more });
        }
        row.etag += 1;
        Ok(row)
    }
}

/// Whether `new` takes the place of `old`: verified before not verified, then the lower first index, then the lower number of times
/// forwarded; of equal ones the old one stays.
fn is_better(new: &KeyData, old: &KeyRow) -> bool {
    let new = (!new.is_verified, new.first_message_index, new.forwarded_count);
    new < (!old.is_verified, old.first_message_index, old.forwarded_count)
}

/// How many of `given`, from the first, fit into one batch: at least one, if there is one.
fn fitting(given: &[Given<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |given: &&Given<'_>| {
        bytes += given.bytes();
        bytes <= limits::BACKUP_BATCH_BYTES
    };
    given.iter().take(limits::BACKUP_BATCH_KEYS).take_while(fits).count().max(given.len().min(1))
}

fn check_bounds(given: &Given<'_>) -> Result<(), E2eeError> {
    check_session_id(given.session_id)?;
    if given.data.session_data.get().len() > limits::BACKUP_SESSION_DATA_BYTES {
        return Err(E2eeError::TooLarge("A key is too large."));
    }
    Ok(())
}

fn check_session_id(session_id: &str) -> Result<(), E2eeError> {
    // With 0 its key could be longer than keys are.
    if !(1..=limits::BACKUP_SESSION_ID_BYTES).contains(&session_id.len()) || session_id.contains('\0') {
        return Err(E2eeError::InvalidParam("The id of a session is empty, too long, or no text."));
    }
    Ok(())
}

/// Whether there can be a key of this session.
pub(super) fn can_be(session_id: &str) -> bool {
    check_session_id(session_id).is_ok()
}
