//! Bounds of rooms and events.

/// Bytes of one event in canonical JSON (Matrix specification, Client-Server API, Size limits).
pub const EVENT_BYTES: usize = 65_536;
/// Bytes of a user id, room id, event type, state key, event id (Size limits).
pub const IDENTIFIER_BYTES: usize = 255;
/// Entries of a snapshot's own delta before it is merged into chunks.
pub const SNAPSHOT_DELTA_ENTRIES: usize = 64;
/// Entries of one state chunk (16 bytes each: 64 KiB).
pub const SNAPSHOT_CHUNK_ENTRIES: usize = 4_096;
/// Bytes of the cache of state chunks and snapshots.
pub const SNAPSHOT_CACHE_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of the cache of events by id.
pub const EVENT_CACHE_BYTES: usize = 64 * 1024 * 1024;
/// Forward extremities that one event may have as prev events.
pub const PREV_EVENTS: usize = 10;
/// The depth of an event is clipped, for order, to that of its prev events plus this.
pub const DEPTH_JUMP: u64 = 10_000;
/// Batches of one room that may wait for the committer at once; the next is answered `Busy`.
pub const PENDING_PER_ROOM: usize = 512;
/// Rooms whose pending head is kept in memory while nothing is queued.
pub const IDLE_ROOMS: usize = 10_000;
/// Initial state events and invitations of one createRoom.
pub const CREATE_EVENTS: usize = 500;
/// Events of one page of `/messages`.
pub const MESSAGES_PAGE: usize = 1_000;
/// Characters of a transaction id.
pub const TRANSACTION_ID_BYTES: usize = 255;
