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
