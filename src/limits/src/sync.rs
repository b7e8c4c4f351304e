//! Bounds of sync.

/// Milliseconds a client may ask a sync to wait; larger wishes are cut to it.
pub const TIMEOUT_MS: u64 = 300_000;
/// Events of a room's timeline in one sync, when the filter names none.
pub const TIMELINE_DEFAULT: usize = 10;
/// Events of a room's timeline in one sync, at most.
pub const TIMELINE_MAX: usize = 100;
/// Events of all timelines in one sync; when it is reached the limit per room falls, never a room is left out.
pub const TIMELINE_TOTAL: usize = 20_000;
/// Events of one room's timeline that a sync looks at, at most, where the filter leaves most of them out; the timeline is `limited` then.
pub const TIMELINE_SCANNED_ROWS: usize = 1_000;
/// The same of all timelines of one sync, about: with many rooms each gets less.
pub const TOTAL_SCANNED_ROWS: usize = 50_000;
/// Bytes of what is remembered of which lazily loaded members clients have been sent. Without it they are sent again.
pub const TOLD_MEMBERS_BYTES: u64 = 16 * 1024 * 1024;
/// Member events of one client of which that is remembered: 16 bytes each.
pub const TOLD_MEMBER_EVENTS: usize = 20_000;
/// Rooms loaded side by side for one sync.
pub const ROOMS_AT_ONCE: usize = 16;
/// Receipts of one room in one answer: those that moved last, and the user's own whatever their age. About 100 bytes each.
pub const ROOM_RECEIPT_ROWS: usize = 10_000;
/// Receipts of one room, at least, where many rooms share [`TOTAL_RECEIPT_ROWS`].
pub const LEAST_RECEIPT_ROWS: usize = 64;
/// Receipts of all rooms in one answer, about.
pub const TOTAL_RECEIPT_ROWS: usize = 100_000;
