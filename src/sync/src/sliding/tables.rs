//! Rows of the connections of sliding syncs (numbers 0x090–0x091).

use serde::{Deserialize, Serialize};
use wardstead_engine::AccessPattern;
use wardstead_store::{Table, row};

/// What a device's connection has: `device | hash of the connection's name`. Each write gives it a version of its own.
pub(super) const CONNECTIONS: Table<ConnectionRow> =
    Table::new(AccessPattern::Churn, 0x090, "sliding_connections", "sync");
/// What it has of a room: `device | hash of the connection's name | room`.
pub(super) const ROOMS: Table<RoomRow> = Table::new(AccessPattern::Churn, 0x091, "sliding_rooms", "sync");

/// Two answers at most: the one that the client said it has, and the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConnectionRow {
    pub(super) run: u64,
    pub(super) has: Generation,
    pub(super) last: Option<Generation>,
    /// When it was last written, for the choice of which has to go.
    pub(super) used_ms: u64,
}
row!(ConnectionRow, 1);

/// An answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Generation {
    /// Grows along the run; 0: before the first answer.
    pub(super) number: u64,
    /// Tells it from another with the same number, that another node gave.
    pub(super) id: u64,
    /// Of the position.
    pub(super) epoch: u32,
    /// Up to here the rooms that are not behind were sent.
    pub(super) position: u64,
    /// Hash of which extensions were on, and for what.
    pub(super) extensions: u64,
}

/// Two states at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoomRow {
    /// As of the answers before `last`; `None`: the client does not have the room.
    pub(super) before: Option<Entry>,
    /// The number of the answer that changed it, and to what.
    pub(super) last: Option<(u64, Option<Entry>)>,
}
row!(RoomRow, 1);

/// What a client has of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// It was not shown what happened after this position; `None`: it has everything that the answer's position covers. 0: it is to be told
    /// the room from the start.
    pub(super) behind: Option<u64>,
    /// It has so many of the last events, or all.
    pub(super) limit: u32,
    /// Hashes of what state it was told in full, and of each change of which it is told since. Ascending.
    pub(super) configs: Vec<u32>,
    /// It was told that this is a direct room.
    pub(super) direct: bool,
}
