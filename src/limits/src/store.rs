//! Bounds of the store: committer, tail, change window, tokens, short ids, leases, queues, timers, nodes.

/// Batches waiting for the committer; the next is answered `Busy`, before anything was promised.
pub const COMMIT_QUEUE_BATCHES: usize = 4_096;
/// A `Soon` batch is committed at the latest after this time, with or without company.
pub const SOON_MS: u64 = 500;
/// The tail reads the journal at least this often, with or without a hint (promise P5).
pub const TAIL_POLL_MS: u64 = 250;
/// Journal rows that the tail reads at once.
pub const TAIL_PAGE_ROWS: usize = 4_096;
/// Bytes of the change window. At about 40 bytes an entry: 200,000 rooms and users that changed.
pub const CHANGE_WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// Short ids that a node takes from the counter row at once.
pub const SHORT_ID_BLOCK: u64 = 4_096;
/// Short ids that are left out when the epoch changes: 4,096 blocks, more than nodes took in any tail that was lost.
pub const EPOCH_JUMP_IDS: u64 = 1 << 24;
/// Between two hints of one node on the bus. The first of a burst goes at once; 200 a second are enough for the rest, and
/// each is a transaction on the database.
pub const BUS_HINT_MS: u64 = 5;
/// Times that a batch is rebuilt after `Rebuild` before the caller is told to come back.
pub const REBUILDS: usize = 5;
/// Characters of a sync, timeline or page token.
pub const TOKEN_CHARS: usize = 120;
/// Waiting requests of one user; the next ends the oldest.
pub const WAITERS_PER_USER: usize = 64;
/// Waking the members of one room is spread over at most this time.
pub const WAKE_SPREAD_MS: u64 = 200;
/// Members woken at once, before the spreading starts.
pub const WAKE_BURST: usize = 256;
/// Searches for the outcome of an unknown commit before its callers are told that it is unknown.
pub const UNKNOWN_ATTEMPTS: usize = 3;
/// Rooms and users changed since a token that a sync looks up one by one; beyond it, walking the user's rooms is cheaper.
pub const WALK_CHANGES: usize = 512;
/// Bytes of the notifier's cache of who is in which room.
pub const AUDIENCE_CACHE_BYTES: u64 = 32 * 1024 * 1024;
