//! Read receipts and the fully read marker (Client-Server API, Receipts; Fully read markers).
//!
//! A receipt is of a user, public or private, and of a thread or of none; it stands at one event and never moves backwards, by timeline
//! key. What is shown to the room's members is found by (room, position), what is shown to the user alone by
//! (user, position). Formats: `docs/design/14-receipts.md`.

mod mark;
mod read;
mod tables;
mod thread;

use ruma::{OwnedEventId, OwnedUserId};
use wardstead_engine::{Key, KeyBuilder};

pub use read::Receipts;

use tables::{RECEIPT_CELLS, RECEIPT_LOG, RECEIPTS};

/// Up to where somebody has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Short id of the room.
    pub room: u64,
    /// Short id of the user.
    pub user: u64,
    /// The user.
    pub user_id: OwnedUserId,
    /// Whether it is shown to its user alone (`m.read.private`).
    pub private: bool,
    /// `main` or the event id of the thread's root; `None`: unthreaded.
    pub thread: Option<String>,
    /// The newest event that was read.
    pub event_id: OwnedEventId,
    /// When the receipt was moved, in milliseconds since 1970.
    pub at_ms: u64,
}

/// Where a receipt is to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptMark {
    /// The event.
    pub event_id: OwnedEventId,
    /// As in [`Receipt`].
    pub thread: Option<String>,
}

impl ReceiptMark {
    /// Of no thread.
    #[must_use]
    pub fn unthreaded(event_id: OwnedEventId) -> Self {
        Self { event_id, thread: None }
    }
}

/// What one request moves, in one batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// `m.read`.
    pub read: Option<ReceiptMark>,
    /// `m.read.private`.
    pub private: Option<ReceiptMark>,
    /// `m.fully_read`.
    pub fully_read: Option<OwnedEventId>,
}

/// What the thread of events in no thread is called.
const MAIN: &str = "main";

fn receipt_key(room: u64, user: u64, private: bool, thread: Option<&str>) -> Key {
    RECEIPTS.key(room).u64(user).u8(u8::from(private)).text(thread.unwrap_or_default()).key()
}

/// The log of what all members of `room` are shown, or of what `user` alone is, up to the position.
fn log_key(private: bool, room: u64, user: u64) -> KeyBuilder {
    if private { RECEIPT_LOG.key(user).u8(1) } else { RECEIPT_LOG.key(room).u8(0) }
}

pub(crate) fn cell_key(room: u64) -> Key {
    RECEIPT_CELLS.key(room).key()
}
