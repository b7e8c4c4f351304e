//! Bounds of sync.

/// Milliseconds a client may ask a sync to wait; larger wishes are cut to it.
pub const TIMEOUT_MS: u64 = 300_000;
/// Events of a room's timeline in one sync, when the filter names none.
pub const TIMELINE_DEFAULT: usize = 10;
/// Events of a room's timeline in one sync, at most.
pub const TIMELINE_MAX: usize = 100;
/// Events of all timelines in one sync; when it is reached the limit per room falls, never a room is left out.
pub const TIMELINE_TOTAL: usize = 20_000;
/// Rooms loaded side by side for one sync.
pub const ROOMS_AT_ONCE: usize = 16;
/// Receipts of one room in one answer: those that moved last, and the user's own whatever their age. About 100 bytes each.
pub const ROOM_RECEIPT_ROWS: usize = 10_000;
/// Receipts of one room, at least, where many rooms share [`TOTAL_RECEIPT_ROWS`].
pub const LEAST_RECEIPT_ROWS: usize = 64;
/// Receipts of all rooms in one answer, about.
pub const TOTAL_RECEIPT_ROWS: usize = 100_000;
