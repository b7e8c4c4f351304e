//! Rows of device lists (numbers 0x0b4–0x0b7).

use serde::{Deserialize, Serialize};
use wardstead_engine::AccessPattern;
use wardstead_store::{Table, row};

/// Whose devices or keys changed last at a position: `0 | position`.
pub(super) const LOG: Table<LogRow> = Table::new(AccessPattern::Append, 0x0b4, "device_list_log", "e2ee");
/// Where the log says it of a user: `user`; its position is that.
pub(super) const CELLS: Table<CellRow> = Table::new(AccessPattern::Point, 0x0b5, "device_list_cells", "e2ee");
/// Local users who came into a room or went: `room | position`.
pub(super) const ROOM_MOVES: Table<RoomMoveRow> = Table::new(AccessPattern::Append, 0x0b6, "room_moves", "e2ee");
/// Rooms that a local user came into or left, the same moves, and whose keys they signed: `user | position`.
pub(super) const USER_MOVES: Table<UserMoveRow> = Table::new(AccessPattern::Append, 0x0b7, "user_moves", "e2ee");

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogRow {
    pub(super) user: u64,
}
row!(LogRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CellRow;
row!(CellRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoomMoveRow {
    pub(super) user: u64,
    /// Whether they are in the room from there on.
    pub(super) here: bool,
}
row!(RoomMoveRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum UserMoveRow {
    /// They came into the room, or left it.
    Room { room: u64, here: bool },
    /// They signed the keys of the user.
    Signed { user: u64 },
}
row!(UserMoveRow, 1);
