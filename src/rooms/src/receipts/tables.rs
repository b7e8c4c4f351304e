//! Tables of receipts: numbers 0x05d–0x05f.

use serde::{Deserialize, Serialize};
use wardstead_engine::AccessPattern;
use wardstead_store::{Table, row};

/// Receipts by room, user, type and thread; versioned.
pub(crate) const RECEIPTS: Table<ReceiptRow> = Table::new(AccessPattern::Scan, 0x05d, "receipts", "rooms");
/// What receipt moved last at a position: by room those that all members are shown, by user those that the user alone is. One row
/// for each row of [`RECEIPTS`].
pub(crate) const RECEIPT_LOG: Table<ReceiptLogRow> = Table::new(AccessPattern::Scan, 0x05e, "receipt_log", "rooms");
/// Position at which a receipt of the room, one that all members are shown, moved last.
pub(crate) const RECEIPT_CELLS: Table<ReceiptCellRow> =
    Table::new(AccessPattern::Point, 0x05f, "receipt_cells", "rooms");

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptRow {
    pub(crate) event_id: String,
    /// The event's timeline key: receipts never move backwards.
    pub(crate) depth: u64,
    pub(crate) order: i64,
    /// When it was moved, in milliseconds since 1970.
    pub(crate) at_ms: u64,
}
row!(ReceiptRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptLogRow {
    pub(crate) room: u64,
    pub(crate) user: u64,
    pub(crate) user_id: String,
    /// `main` or the root's event id; `None`: of no thread.
    pub(crate) thread: Option<String>,
    pub(crate) event_id: String,
    pub(crate) at_ms: u64,
}
row!(ReceiptLogRow, 1);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptCellRow;
row!(ReceiptCellRow, 1);
