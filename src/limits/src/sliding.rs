//! Bounds of sliding sync.

/// Bytes of a request's body: lists with their filters and required state, subscriptions and extensions. What clients send has a few KiB.
pub const BODY_BYTES: usize = 256 * 1024;
/// Lists of one request, counted by their keys (the proposal's own number).
pub const LIST_KEYS: usize = 100;
/// Rooms that one request subscribes to.
pub const SUBSCRIBED_ROOMS: usize = 1_000;
/// Ranges of one list, counted as pairs of numbers.
pub const RANGE_PAIRS: usize = 20;
/// Entries of one `required_state`, and of one filter: each is compared with each event or room.
pub const PATTERN_ENTRIES: usize = 200;
/// Bytes of the name of a connection or of a list.
pub const NAME_BYTES: usize = 255;
/// Connections of one device; the one that was not used for the longest time makes place for a new one.
pub const DEVICE_CONNECTIONS: usize = 16;
/// Rooms that one answer shows for the first time or again from the start; the rest come with the next, which does not wait.
pub const NEW_ROOMS: usize = 1_000;
/// Rows of a connection written by one batch, well below what a batch may have.
pub const BATCH_ROWS: usize = 1_000;
/// Bytes of what a node remembers of connections. Without it they are read again.
pub const CONNECTION_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a room of a connection in memory, about.
pub const CONNECTION_ROOM_BYTES: u64 = 96;
/// Bytes of what a node remembers of the order of users' rooms. Without it they are read again.
pub const ORDER_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a room in that order, about.
pub const ORDER_ROOM_BYTES: u64 = 256;
/// Bytes of what a node remembers of what rooms are, for filters of lists.
pub const FACTS_CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of what it remembers of one room, about.
pub const FACTS_ENTRY_BYTES: u64 = 128;
/// Ways of being shown (a list's, a subscription's) that are told apart for one room, counted as hashes; beyond they count as one.
pub const CONFIG_HASHES: usize = 8;
/// Rows of a timeline that are looked at for the last event that moves a room up.
pub const BUMP_ROWS: usize = 100;
/// Milliseconds after an answer in which another node may not know of it yet: the time of a write that nobody waits for, and some more for
/// clocks that differ.
pub const FRESH_MS: u64 = 5_000;
/// Spaces of one filter whose children are read.
pub const SPACE_ROOMS: usize = 100;
