//! The rows of aliases: by alias, and by room.

use ruma::{OwnedRoomAliasId, RoomAliasId};
use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Batch, Expect, JournalEntry, Key, Losing};
use wardstead_store::{Found, Table, kind, row};

use crate::{Room, RoomError};

/// Alias → room. Versioned: each setting of an alias has a version of its own, so that nobody removes or moves what
/// somebody else has set meanwhile.
pub(crate) const ALIASES: Table<AliasRow> = Table::new(AccessPattern::Point, 0x060, "aliases", "rooms");
/// Room → its aliases.
pub(crate) const ROOM_ALIASES: Table<RoomAliasRow> = Table::new(AccessPattern::Scan, 0x061, "room_aliases", "rooms");

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AliasRow {
    /// Short id of the room.
    pub(crate) room: u64,
    pub(crate) room_id: String,
    /// Who set it.
    pub(crate) by: String,
    pub(crate) at_ms: u64,
}
row!(AliasRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomAliasRow {
    pub(crate) alias: String,
}
row!(RoomAliasRow, 1);

/// What losing the race for an alias is called between batch and answer.
pub(crate) const TAKEN: &str = "alias taken";

pub(crate) fn alias_key(alias: &RoomAliasId) -> Key {
    ALIASES.key(0).text(alias.as_str()).key()
}

fn room_key(room: u64, alias: &str) -> Key {
    ROOM_ALIASES.key(room).text(alias).key()
}

/// Makes `alias` lead to `room`, if it leads nowhere when the batch is committed. `version` is a fresh short id.
pub(crate) fn put(batch: &mut Batch, alias: &RoomAliasId, room: &Room, by: &str, at_ms: u64, version: u64) {
    batch.expect(alias_key(alias), Expect::Absent, Losing::Fail(TAKEN));
    let row = AliasRow { room: room.short, room_id: room.room_id.as_str().to_owned(), by: by.to_owned(), at_ms };
    write(batch, alias.as_str(), &row, version);
}

/// Makes the alias lead nowhere, if it is still as it was found. The [`news`] are still to be added.
pub(crate) fn remove(batch: &mut Batch, alias: &RoomAliasId, found: &Found<AliasRow>) {
    batch.expect(found.key.clone(), Expect::Version(found.version), Losing::Rebuild);
    batch.delete(found.key.clone());
    batch.delete(room_key(found.row.room, alias.as_str()));
}

/// Makes the alias lead to `room` instead, if it is still as it was found. It stays that of who set it. `version` is a fresh short
/// id.
pub(crate) fn redirect(batch: &mut Batch, alias: &RoomAliasId, found: &Found<AliasRow>, room: &Room, version: u64) {
    batch.expect(found.key.clone(), Expect::Version(found.version), Losing::Rebuild);
    batch.delete(room_key(found.row.room, alias.as_str()));
    batch.journal(news(found.row.room, alias.as_str()));
    let row = AliasRow { room: room.short, room_id: room.room_id.as_str().to_owned(), ..found.row.clone() };
    write(batch, alias.as_str(), &row, version);
}

fn write(batch: &mut Batch, alias: &str, row: &AliasRow, version: u64) {
    ALIASES.put_with(batch, ALIASES.key(0).text(alias).key(), version, &[], row);
    ROOM_ALIASES.put(batch, room_key(row.room, alias), &RoomAliasRow { alias: alias.to_owned() });
    batch.journal(news(row.room, alias));
}

/// The news that an alias of `room` was set, moved or removed.
pub(crate) fn news(room: u64, alias: &str) -> JournalEntry {
    JournalEntry { kind: kind::ROOM_ALIAS, scope: room, key: alias.as_bytes().to_vec().into() }
}

/// The alias that a row of [`ROOM_ALIASES`] holds.
pub(crate) fn parsed(found: &Found<RoomAliasRow>) -> Result<OwnedRoomAliasId, RoomError> {
    RoomAliasId::parse(found.row.alias.as_str()).map_err(|_| RoomError::corrupt(&found.key, "not an alias"))
}
