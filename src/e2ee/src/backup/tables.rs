//! Rows of key backups. Nobody else reads or writes them.

use ruma::RoomId;
use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key};
use wardstead_store::{Queue, Table};

/// Which backups a user has: `user`. Versioned.
pub(super) const HEADS: Table<HeadRow> = Table::new(AccessPattern::Point, 0x0aa, "backup_heads", "e2ee");
/// Backups: `user | number`. Versioned: whatever changes keys of a backup asserts its row and writes it anew.
pub(super) const BACKUPS: Table<BackupRow> = Table::new(AccessPattern::Scan, 0x0ab, "backups", "e2ee");
/// Keys in backups: `short id of the backup | room id | session id`.
pub(super) const KEYS: Table<KeyRow> = Table::new(AccessPattern::Scan, 0x0ac, "backup_keys", "e2ee");
/// Rooms of which a backup has keys: `short id of the backup | room id`.
pub(super) const ROOMS: Table<RoomRow> = Table::new(AccessPattern::Scan, 0x0ad, "backup_rooms", "e2ee");
/// Backups that are no user's any more and whose keys are to be removed: its lane is the short id of the backup.
pub(super) static LEFT: Queue<LeftRow> = Queue::new(Table::new(AccessPattern::Churn, 0x0ae, "left_backups", "e2ee"));

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeadRow {
    /// The highest number that was ever given.
    pub newest: u64,
    /// Numbers of the backups that there are, ascending. Keys are added to the last one alone.
    pub standing: Vec<u64>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BackupRow {
    /// Short id under which its keys lie. Removing all keys gives it another one.
    pub backup: u64,
    pub algorithm: String,
    /// A JSON object.
    pub auth_data: String,
    /// Keys in it.
    pub count: u64,
    /// How often its keys have changed.
    pub etag: u64,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyRow {
    pub first_message_index: u64,
    pub forwarded_count: u64,
    pub is_verified: bool,
    /// A JSON object. It lies in no content envelope: it is the client's ciphertext.
    pub session_data: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoomRow {
    /// Keys of the room, at least one.
    pub count: u64,
}

/// That there may be some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeftRow;

wardstead_store::row!(HeadRow, 1);
wardstead_store::row!(BackupRow, 1);
wardstead_store::row!(KeyRow, 1);
wardstead_store::row!(RoomRow, 1);
wardstead_store::row!(LeftRow, 1);

pub(super) fn head_key(user: u64) -> Key {
    HEADS.key(user).key()
}

pub(super) fn backup_key(user: u64, number: u64) -> Key {
    BACKUPS.key(user).u64(number).key()
}

pub(super) fn key_key(backup: u64, room_id: &RoomId, session_id: &str) -> Key {
    KEYS.key(backup).text(room_id.as_str()).text(session_id).key()
}

/// With what the keys of the room begin.
pub(super) fn keys_of(backup: u64, room_id: &str) -> Key {
    KEYS.key(backup).text(room_id).key()
}

pub(super) fn room_key(backup: u64, room_id: &str) -> Key {
    ROOMS.key(backup).text(room_id).key()
}
