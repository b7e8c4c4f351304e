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
/// Milliseconds between two bursts of wake-ups, at most: what a burst's answers take on two cores or less, so that 500 waiting
/// members are reached within 80 ms.
pub const WAKE_PAUSE_MS: u64 = 5;
/// Milliseconds between two wake-ups of a room for receipts alone, at least; other news takes them along. The first of a burst
/// goes at once, and the devices of who reads never wait.
pub const RECEIPTS_APART_MS: u64 = 1_000;
/// Wake-ups that receipts in one room may cause a second: ten thousand readers of one message would otherwise cause a hundred million.
pub const RECEIPT_WAKES_PER_S: u64 = 500;
/// Rooms whose wake-ups for receipts are paced at once, at about 100 bytes each; in further ones receipts wake at once.
pub const RECEIPT_PACED_ROOMS: usize = 65_536;
/// Members woken at once, before the spreading starts.
pub const WAKE_BURST: usize = 256;
/// Searches for the outcome of an unknown commit before its callers are told that it is unknown.
pub const UNKNOWN_ATTEMPTS: usize = 3;
/// Between two searches for the outcome of an unknown commit while nobody submits anything.
pub const UNKNOWN_RETRY_MS: u64 = 250;
/// Upper ends of the buckets for batches in a group; the largest is a full group.
pub const GROUP_BUCKETS_BATCHES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Rooms and users changed since a token that a sync looks up one by one; beyond it, walking the user's rooms is cheaper.
pub const WALK_CHANGES: usize = 512;
/// Bytes of the notifier's cache of who is in which room.
pub const AUDIENCE_CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// A lease ends this long after its last renewal, so this is how long work stands still when a node is killed. Renewed at a
/// third of it: two renewals may fail.
pub const LEASE_TTL_MS: u64 = 6_000;
/// Who waits for a lease asks this often; after a handover it is free at once, so this is how long work stands still then.
pub const LEASE_RETRY_MS: u64 = 500;
/// One request for a lease; a slower answer counts as none. Well below [`LEASE_TTL_MS`], so that a late one leaves time.
pub const LEASE_CALL_MS: u64 = 2_000;
/// A node says that it lives this often. Its commit also finds out, on a node that nobody uses, that the database has failed
/// over.
pub const NODE_BEAT_MS: u64 = 2_000;
/// A node that was silent for so long is not counted among the live ones: four beats may be late.
pub const NODE_LIVE_MS: u64 = 10_000;
/// A node that was silent for so long is removed: it was killed.
pub const NODE_FORGET_MS: u64 = 60_000;
/// How long a closing store waits for the commit that removes its node, and for work to come to an end.
pub const HAND_OVER_MS: u64 = 2_000;
/// Slots into which the lanes of a queue are spread; never changed, since rows lie in them. A partition is at least one.
pub const QUEUE_SLOT_KEYS: u8 = 64;
/// Slots into which timers are spread; never changed. Each look is one read a slot.
pub const TIMER_SLOT_KEYS: u8 = 8;
/// Rows of a queue that are read at once.
pub const QUEUE_PAGE_ROWS: usize = 256;
/// Lanes of a queue that one worker works on side by side: most of them wait for an answer from elsewhere.
pub const QUEUE_LANES_AT_ONCE: usize = 16;
/// Timers that are read at once from a slot.
pub const TIMER_PAGE_ROWS: usize = 64;
/// A worker looks for rows at least this often, with or without a hint, and for a change of the number of partitions.
pub const WORK_SWEEP_MS: u64 = 1_000;
/// Of the time, what looking through all rows takes at most, as far as hints ask for it: such a look passes over all that was removed lately.
pub const WORK_LOOK_PERCENT: u64 = 10;
/// The longest rest after such a look, for the sake of that: how much later than at once work may begin of which another node told.
pub const WORK_REST_MS: u64 = 250;
/// Hints that wait for one worker; with more of them it looks everywhere.
pub const WORK_HINTS: usize = 1_024;
/// Lanes of a queue of which it is remembered how far they are done.
pub const WORK_FLOORS: usize = 16_384;
/// What could not be done is tried again after this time, which doubles up to [`WORK_RETRY_MOST_MS`].
pub const WORK_RETRY_MS: u64 = 1_000;
/// The longest pause before something is tried again.
pub const WORK_RETRY_MOST_MS: u64 = 60_000;
/// Bytes that are reserved to write a row: an event's row fits in most rooms.
pub const ROW_BYTES: usize = 1_024;
