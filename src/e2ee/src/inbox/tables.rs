//! Rows of messages to devices (numbers 0x0b0–0x0b2).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wardstead_engine::{AccessPattern, Position};
use wardstead_store::{Envelope, Row, Table, row};

/// Messages that wait: `device | position`. The position is that of the recipient's journal entry.
pub(super) const INBOXES: Table<MessageRow> = Table::new(AccessPattern::Churn, 0x0b0, "inboxes", "e2ee");
/// What is known of how much waits for a device that does not fetch it: `device`.
pub(super) const COUNTS: Table<CountRow> = Table::new(AccessPattern::Point, 0x0b1, "inbox_counts", "e2ee");
/// Requests that were carried out: `device | type | transaction id`, of the device that sent.
pub(super) const TRANSACTIONS: Table<TransactionRow> =
    Table::new(AccessPattern::Point, 0x0b2, "to_device_transactions", "e2ee");

/// The event as the client gets it, in the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MessageRow(pub(super) Bytes);

impl Row for MessageRow {
    fn encode(&self) -> Bytes {
        Envelope::plain(self.0.clone()).encode()
    }

    fn decode(bytes: &Bytes) -> Option<Self> {
        Envelope::decode(bytes).ok().map(|envelope| Self(envelope.0))
    }
}

/// Counted now and then, and only upwards: what the device has fetched since then is not taken away, but the row is removed with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CountRow {
    /// Up to here it was counted.
    pub(super) upto: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}
row!(CountRow, 1);

impl CountRow {
    pub(super) fn upto(self) -> Position {
        Position(self.upto)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TransactionRow {
    /// For a later sweep.
    pub(super) at_ms: u64,
}
row!(TransactionRow, 1);
