//! Rows of dehydrated devices. Nobody else reads or writes them.

use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Key};
use wardstead_store::Table;

/// Which device of a user is the dehydrated one: `user`. Its version is the short id of the device.
pub(super) const DEHYDRATED: Table<DehydratedRow> =
    Table::new(AccessPattern::Point, 0x0b8, "dehydrated_devices", "e2ee");

/// The list of its messages, of which pages have tokens: the number of the table.
pub(super) const EVENTS: u16 = 0x0b8;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DehydratedRow {
    /// Short id of the device.
    pub device: u64,
    pub device_id: String,
    /// A JSON object. It lies in no content envelope: it is the client's ciphertext.
    pub device_data: String,
}

wardstead_store::row!(DehydratedRow, 1);

pub(super) fn row_key(user: u64) -> Key {
    DEHYDRATED.key(user).key()
}
