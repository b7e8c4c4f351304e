//! Rows that engines themselves read and write.

use crate::{AccessPattern, Key, TableId};

pub use crate::epoch::{EndedEpoch, EpochReason, epochs, raise_epoch};

/// The journal.
pub const JOURNAL: TableId = TableId::new(AccessPattern::Append, 1);
/// Cells of the whole installation: epoch, last position.
pub const SYSTEM: TableId = TableId::new(AccessPattern::Point, 1);
/// Leases by name.
pub const LEASES: TableId = TableId::new(AccessPattern::Point, 2);

/// Kind of the journal entry with which an epoch begins. Kinds below 0x0100 are the engine's: they concern no room and no
/// user, and no sync reads them (`store::kind::scope_of` gives `None`). Scope: the new epoch. Key: empty.
pub const EPOCH_BEGINS: u16 = 0x00e0;

/// The epoch's cell. Its *version* is the epoch; absent means epoch 0. Each group is checked against it.
#[must_use]
pub fn epoch_key() -> Key {
    Key::build(SYSTEM, 0).text("epoch").key()
}

/// Key of the lease `name`. Its version is the fencing number, so that a batch can assert that it still holds.
#[must_use]
pub fn lease_key(name: &str) -> Key {
    Key::build(LEASES, 0).text(name).key()
}
